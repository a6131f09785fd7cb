import { Errors, run, settings } from '@oclif/core'
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT } from './base-command.ts'
import { guardStandardStreams } from './output.ts'

type LoadOptions = NonNullable<Parameters<typeof run>[1]>

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface LoadInput {
  /** Folder of commands, which are looked for there, instead of those of a build. */
  readonly commands?: string
  /** The command line. Where it names a command of our own, oclif's plugins are left out: they serve others. */
  readonly argv?: readonly string[]
}

/** What oclif's `Config.load` takes to find this project. */
export function loadOptions(options: LoadInput = {}): LoadOptions {
  const pjson = readJson('package.json') as { oclif: Record<string, unknown> }
  const { commands, argv = [] } = options
  if (commands === undefined) {
    if (isOwnCommand(argv)) pjson.oclif['plugins'] = []
    return { root: ROOT, pjson } as unknown as LoadOptions
  }
  // oclif takes commands from any manifest it finds in the root, and with it from what was built last.
  const root = resolve(ROOT, dirname(commands))
  const target = `./${basename(commands)}`
  const file = `${argv[0]}.ts`
  // Without a manifest all commands are loaded to know what they are; a command needs no other.
  pjson.oclif['commands'] = existsSync(resolve(root, target, file))
    ? { strategy: 'pattern', target, globPatterns: [file] }
    : target
  return { root, pjson } as unknown as LoadOptions
}

/** By the manifest, which a build makes; without one all is looked for. */
function isOwnCommand([word = '', next = '']: readonly string[]): boolean {
  if (word === 'completion') return false // it tells of the commands of plugins too
  if (!existsSync(`${ROOT}oclif.manifest.json`)) return false
  const { commands } = readJson('oclif.manifest.json') as { commands: object }
  const isTopic = Object.keys(commands).some((id) => id.startsWith(`${word}:`))
  return Object.hasOwn(commands, isTopic ? `${word}:${next}` : word)
}

function readJson(name: string): unknown {
  return JSON.parse(readFileSync(`${ROOT}${name}`, 'utf8'))
}

/** Runs one command line to its end. Errors of commands are handled in BaseCommand; here only what no command saw. */
export async function runCli(
  argv: string[],
  options: { readonly commands?: string } = {},
): Promise<void> {
  // Whether TypeScript is read is decided by who starts us, not by NODE_ENV of the user.
  settings.enableAutoTranspile = false
  process.env['NODE_ENV'] ??= 'production'
  guardStandardStreams()
  try {
    await run(argv, loadOptions({ ...options, argv }))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // An unknown command is wrong usage; oclif says 127, which shells use for a missing program.
    const details = (error as { oclif?: { exit?: number } }).oclif
    if (details?.exit === 127) details.exit = EXIT.usage
    await Errors.handle(error)
  }
}
