/** The codes that begin and end each style. */
const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const

export type Style = keyof typeof STYLES

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
  if (!color) return text
  const [open, close] = STYLES[style]
  return `\u001b[${open}m${text}\u001b[${close}m`
}
