import { Errors, run, settings } from '@oclif/core'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { EXIT } from './base-command.ts'
import { guardStandardStreams } from './output.ts'

type LoadOptions = NonNullable<Parameters<typeof run>[1]>

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** What oclif's `Config.load` takes to find this project; `commands` goes before the folder that package.json names. */
export function loadOptions(options: { readonly commands?: string } = {}): LoadOptions {
  const pjson = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as {
    oclif: Record<string, unknown>
  }
  if (options.commands !== undefined) pjson.oclif['commands'] = options.commands
  return { root: ROOT, pjson, ignoreManifest: options.commands !== undefined } as LoadOptions
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
    await run(argv, loadOptions(options))
  } catch (error) {
    if (!(error instanceof Error)) throw error
    // An unknown command is wrong usage; oclif says 127, which shells use for a missing program.
    const details = (error as { oclif?: { exit?: number } }).oclif
    if (details?.exit === 127) details.exit = EXIT.usage
    await Errors.handle(error)
  }
}
