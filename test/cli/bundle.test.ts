import type { Metafile } from 'esbuild'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { compileFunction } from 'node:vm'
import { beforeAll, describe, expect, test } from 'vitest'
import { bundle, bundledCommand, loadingOnFirstUse } from '../../scripts/bundle.ts'
import { runBin } from '../support/run-command.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const PARTITION = join(ROOT, 'fixtures/broker-4.1.0/orders-none-0')
const INDEX = join(PARTITION, '00000000000000000000.index')
const COMMANDS = ['dump-index', 'read', 'segments']
/** Packages that may only be loaded by what needs them. */
const ON_FIRST_USE =
  /node_modules\/(ora|cli-table3|koffi|@node-rs|snappy|lz4-napi|@bokuweb|semver|minimatch|ejs|tinyglobby|lilconfig|cli-spinners|@inquirer)\//

/** Tells on stderr, when the process ends, what was loaded: CommonJS and native modules by path, Node's own by name. */
const WATCHER = `
import Module from 'node:module'
process.on('exit', () => {
  const own = process.moduleLoadList.flatMap((entry) => /^NativeModule ([a-z_]+)$/.exec(entry)?.[1] ?? [])
  console.error(JSON.stringify([...Object.keys(Module._cache), ...own]))
})`

/** An installed kafkats with its bundle, and a manifest of just what is asked for here. */
let folder: string
let metafile: Metafile

beforeAll(async () => {
  folder = temporaryFolder()
  cpSync(join(ROOT, 'bin'), join(folder, 'bin'), { recursive: true })
  cpSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'watcher.mjs'), WATCHER)
  metafile = await bundle(folder)
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    version: string
  }
  const commands = COMMANDS.map((id) => {
    const relativePath = ['dist', 'bundle', bundledCommand(id)]
    return [
      id,
      { id, aliases: [], args: { path: { name: 'path' } }, flags: {}, isESM: true, relativePath },
    ]
  })
  writeFileSync(
    join(folder, 'oclif.manifest.json'),
    JSON.stringify({ version, commands: Object.fromEntries(commands) as object }),
  )
})

function run(argv: readonly string[], at = folder) {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['--import', pathToFileURL(join(folder, 'watcher.mjs')).href, join(at, 'bin/run.js'), ...argv],
    { encoding: 'utf8', env: { ...process.env, NO_COLOR: '1', XDG_CACHE_HOME: folder } },
  )
  const lines = stderr.trimEnd().split('\n')
  const loaded = JSON.parse(lines.pop() ?? '') as string[]
  return { stdout, stderr: lines.join('\n'), status, loaded }
}

/** The sources in the files that are loaded before a command runs. */
function inputsOf(command: string): string[] {
  const byName = new Map(
    Object.entries(metafile.outputs).map(([path, output]) => [path.split('/').at(-1), output]),
  )
  const waiting = ['run-cli.js', bundledCommand(command)]
  const seen = new Set<string>()
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    for (const { path, kind, external } of byName.get(name)?.imports ?? []) {
      if (kind === 'import-statement' && external !== true)
        waiting.push(path.split('/').at(-1) ?? '')
    }
  }
  return [...seen].flatMap((name) => Object.keys(byName.get(name)?.inputs ?? {}))
}

describe('what is loaded', () => {
  test('for --version: nothing but bin/run.js and package.json', () => {
    const bare = temporaryFolder()
    mkdirSync(join(bare, 'bin'))
    for (const file of ['bin/run.js', 'package.json']) cpSync(join(ROOT, file), join(bare, file))
    const { stdout, stderr, status } = run(['--version'], bare)
    expect(stdout).toMatch(/^kafkats\/\d+\.\d+\.\d+ /)
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
  })

  test('for dump-index: no native module, and no CommonJS one outside the bundle', () => {
    const { stdout, stderr, status, loaded } = run(['dump-index', INDEX])
    expect(stdout).toContain('offset index')
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 })
    expect(loaded).toContain('fs')
    expect(loaded.filter((path) => path.includes('/'))).toEqual([])
    expect(loaded).not.toContain('child_process')
    expect(loaded).not.toContain('worker_threads')
  })

  test('for read: the native checksum, for it is needed', () => {
    const { loaded, status } = run(['read', PARTITION, '-n', '1'])
    expect(status).toBe(0)
    expect(loaded.join('\n')).toContain('/@node-rs/crc32/')
    expect(loaded.join('\n')).not.toContain('/koffi/')
  })

  test('the files of dump-index hold no package that only others need', () => {
    const inputs = inputsOf('dump-index')
    expect(inputs).toContain('src/inspect/dump-index-text.ts')
    expect(inputs.filter((path) => ON_FIRST_USE.test(path))).toEqual([])
    expect(inputsOf('segments').some((path) => path.includes('/cli-table3/'))).toBe(true)
  })
})

describe('the bundle', () => {
  test('prints what the sources print', async () => {
    for (const argv of [
      ['dump-index', INDEX],
      ['segments', PARTITION],
      ['dump-index', '/nowhere'],
    ]) {
      const { stdout, stderr, status } = run(argv)
      const fromSources = await runBin(argv)
      expect({ stdout, stderr, exitStatus: status }).toEqual({
        stdout: fromSources.stdout,
        stderr: fromSources.stderr.trimEnd(),
        exitStatus: fromSources.exitStatus,
      })
    }
  })

  test('has the plugins: help, completion, and the nearest name for an unknown command', () => {
    expect(run(['help', 'dump-index']).stdout).toContain('$ kafkats dump-index')
    expect(run(['autocomplete', 'script', 'bash']).stdout).toContain('KAFKATS_AC_BASH_SETUP_PATH')
    const { stderr, status } = run(['veryfi'])
    expect(stderr).toContain('veryfi is not a kafkats command')
    expect(status).toBe(2)
  })

  test('carries the licence of every package in it', () => {
    const notices = readFileSync(join(folder, 'dist/bundle/THIRD-PARTY-NOTICES.txt'), 'utf8')
    for (const name of ['@oclif/core', 'cli-table3', 'crc-32', 'ora', 'semver']) {
      expect(notices).toMatch(new RegExp(`^${name} \\d+\\.`, 'm'))
    }
    expect(notices).toContain('Permission is hereby granted')
  })

  test('has a file for every command', () => {
    const files = readdirSync(join(folder, 'dist/bundle'))
    for (const name of readdirSync(join(ROOT, 'src/commands'), { recursive: true }) as string[]) {
      if (!name.endsWith('.ts')) continue
      expect(files).toContain(bundledCommand(name.replace(/\.ts$/, '')))
    }
  })
})

test('imports of a CommonJS module become calls that load once', () => {
  const text = `const fs_1 = __importDefault(require("./fs"));
const b_1 = require("b");
exports.Flags = __importStar(require("./flags"));
function f() { return new b_1.B(fs_1.default, x.b_1); }`
  const loaded: string[] = []
  const load = (name: string): object => {
    loaded.push(name)
    return { default: name, B: class {} }
  }
  const exported: Record<string, unknown> = {}
  const make = compileFunction(`${loadingOnFirstUse(text)}; return f`, [
    'require',
    'exports',
    '__importDefault',
    '__importStar',
    'x',
  ]) as (...args: unknown[]) => () => unknown
  const same = (value: unknown): unknown => value
  const f = make(load, exported, same, same, { b_1: 1 })
  expect(loaded).toEqual([])
  f()
  f()
  expect(loaded).toEqual(['b', './fs'])
  expect(exported['Flags']).toMatchObject({ default: './flags' })
})
