/** What a completion has to know of a command; oclif's own commands and those of its manifest fit. */
export interface CompletedCommand {
  /** With `:` between topic and command. */
  readonly id: string
  readonly summary?: string | undefined
  readonly description?: string | undefined
  readonly hidden?: boolean | undefined
  readonly flags: Readonly<Record<string, CompletedFlag>>
}

interface CompletedFlag {
  readonly name: string
  readonly type: string
  readonly char?: string | undefined
  readonly summary?: string | undefined
  readonly description?: string | undefined
  readonly hidden?: boolean | undefined
  readonly allowNo?: boolean | undefined
  readonly options?: readonly string[] | undefined
}

/** A script for the fish shell that completes commands, flags and the values that a flag is limited to; else files. */
export function fishCompletion(
  bin: string,
  commands: readonly CompletedCommand[],
  topicTexts: Readonly<Record<string, string>> = {},
): string {
  const shown = commands
    .filter(({ hidden }) => hidden !== true)
    .sort((a, b) => (a.id < b.id ? -1 : 1))
  const topics = new Set(shown.flatMap(({ id }) => (id.includes(':') ? [topicOf(id)] : [])))
  const lines = [helpers(bin)]
  for (const command of shown) {
    const words = command.id.split(':')
    const parents = words.slice(0, -1)
    const exact = words.length === 1 && topics.has(command.id)
    const within = quote(`__${bin}_at ${exact ? '--exact ' : ''}${words.join(' ')}`)
    const before = quote([`__${bin}_at --exact`, ...parents].join(' '))
    const name = words.at(-1) ?? ''
    lines.push(`complete -c ${bin} -n ${before} -f -a ${quote(name)} -d ${textOf(command)}`)
    for (const flag of Object.values(command.flags)) {
      if (flag.hidden === true) continue
      for (const spelling of spellings(flag)) {
        lines.push(`complete -c ${bin} -n ${within} ${spelling} -d ${textOf(flag)}`)
      }
    }
  }
  for (const topic of topics) {
    if (shown.some(({ id }) => id === topic)) continue
    lines.push(
      `complete -c ${bin} -n ${quote(`__${bin}_at --exact`)} -f -a ${quote(topic)} -d ${quote(topicTexts[topic] ?? '')}`,
    )
  }
  return `${lines.join('\n').replaceAll('<%= config.bin %>', bin)}\n`
}

/** `__bin_at [--exact] WORD...`: whether the words so far, without flags, begin with these, or are just these. */
function helpers(bin: string): string {
  return `function __${bin}_at
    set -l words (commandline -opc)
    set -e words[1]
    set words (string match -v -- '-*' $words)
    if test "$argv[1]" = --exact
        set -e argv[1]
        test "$words" = "$argv"
    else
        test (count $words) -ge (count $argv)
        and test "$words[1..$(count $argv)]" = "$argv"
    end
end`
}

function spellings(flag: CompletedFlag): string[] {
  const short = flag.char === undefined ? '' : ` -s ${flag.char}`
  const name = `-l ${flag.name}${short}`
  if (flag.type === 'boolean') {
    return flag.allowNo === true ? [name, `-l no-${flag.name}`] : [name]
  }
  return [
    flag.options === undefined ? `${name} -r` : `${name} -x -a ${quote(flag.options.join(' '))}`,
  ]
}

function textOf(named: Pick<CompletedFlag, 'summary' | 'description'>): string {
  const [line = ''] = (named.summary ?? named.description ?? '').split('\n')
  return quote(line)
}

function topicOf(id: string): string {
  return id.slice(0, id.indexOf(':'))
}

/** In single quotes fish knows two escapes. */
function quote(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
