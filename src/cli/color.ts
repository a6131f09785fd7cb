import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

interface MaybeTerminal {
  readonly isTTY?: boolean
}

/** Whether to colour what goes to `stream`: a terminal, without NO_COLOR (https://no-color.org) and `--no-color`. */
export function wantsColor(
  stream: MaybeTerminal,
  env: NodeJS.ProcessEnv = process.env,
  argv: readonly string[] = process.argv,
): boolean {
  const end = argv.indexOf('--')
  if ((end === -1 ? argv : argv.slice(0, end)).includes('--no-color')) return false
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  return stream.isTTY === true && env['TERM'] !== 'dumb'
}

/** `text` in `style`, or as it is. */
export function paint(style: Style, text: string, color: boolean): string {
  return color ? styleText(style, text) : text
}
