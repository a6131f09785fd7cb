import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

/**
 * The rules of the source tree as data: who may import whom, and what no file may hold. A rule that is broken is named
 * with file and line. docs/ARCHITECTURE.md tells why the layers are as they are.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SRC = join(ROOT, 'src')
const MAX_LINES = 600
const MIN_EXAMPLES = 2

/** A layer is a folder of src, or a file standing in src itself. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  bytes: ['errors.ts'],
  records: ['bytes', 'errors.ts'],
  storage: ['records', 'bytes', 'errors.ts'],
  inspect: ['storage', 'records', 'bytes', 'errors.ts'],
  cli: ['errors.ts'],
  commands: [
    'cli',
    'client',
    'inspect',
    'server',
    'protocol',
    'storage',
    'records',
    'bytes',
    'errors.ts',
  ],
  protocol: ['bytes', 'records', 'errors.ts'],
  server: ['protocol', 'storage', 'records', 'bytes', 'errors.ts'],
  // Reads and writes a cluster where inspect reads and writes a folder, and gives what inspect takes.
  client: ['protocol', 'inspect', 'storage', 'records', 'bytes', 'errors.ts'],
  'index.ts': ['storage', 'records', 'bytes', 'errors.ts'],
}

/** Layers that take a lower one only through its door, and which file that is. */
const DOORS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  protocol: { storage: 'storage/index.ts' },
  client: { storage: 'storage/index.ts' },
  server: { storage: 'storage/index.ts' },
}

/** Packages that belong to the terminal: nothing below src/cli and src/commands knows of them. */
const TERMINAL_PACKAGES = /^(@oclif\/|cli-table3$|ora$)/
const TERMINAL_LAYERS = ['cli', 'commands']

const FORBIDDEN: readonly (readonly [what: string, pattern: RegExp])[] = [
  ['a leftover mark', /\b(TODO|FIXME|XXX)\b/],
  ['a cast to any', /\bas any\b/],
  ['a switched-off check', /@ts-(ignore|expect-error|nocheck)|eslint-disable/],
]

interface Import {
  /** `src/...:line` of the importing line. */
  readonly place: string
  /** Importing file, below src, with `/`. */
  readonly from: string
  /** As written. */
  readonly specifier: string
  /** Imported file below src, or undefined for a package. */
  readonly to: string | undefined
}

const slashed = (path: string): string => path.split(sep).join('/')

function layerOf(file: string): string {
  return file.split('/')[0] ?? file
}

function sourceFiles(): string[] {
  const entries = readdirSync(SRC, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => slashed(relative(SRC, join(entry.parentPath, entry.name))))
    .sort()
}

/** Every static, dynamic and type-only import and re-export of a file, as TypeScript's own scanner finds them. */
function importsOf(file: string, text: string): Import[] {
  return ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => {
    const line = text.slice(0, pos).split('\n').length
    const isRelative = fileName.startsWith('.')
    return {
      place: `src/${file}:${line}`,
      from: file,
      specifier: fileName,
      to: isRelative ? slashed(relative(SRC, resolve(SRC, dirname(file), fileName))) : undefined,
    }
  })
}

/** What an import breaks, or undefined. */
function problemOf({ from, to, specifier }: Import): string | undefined {
  const layer = layerOf(from)
  if (to === undefined) {
    if (TERMINAL_PACKAGES.test(specifier) && !TERMINAL_LAYERS.includes(layer)) {
      return `${layer} knows nothing of terminals, but imports ${specifier}`
    }
    return undefined
  }
  if (to.startsWith('..')) return `imports ${specifier}, which is outside src`
  if (!to.endsWith('.ts')) return `imports ${specifier}: relative imports end in .ts`
  const target = layerOf(to)
  if (target === layer) return undefined
  if (LAYERS[layer]?.includes(target) !== true) return `${layer} may not import ${target}`
  const door = DOORS[layer]?.[target]
  if (door !== undefined && to !== door) return `${layer} takes ${target} through src/${door} only`
  return undefined
}

/** Import cycles, each as a path from a file back to itself. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const cycles: string[] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): void => {
    const start = path.indexOf(file)
    if (start >= 0) {
      cycles.push([...path.slice(start), file].join(' -> '))
      return
    }
    if (done.has(file)) return
    path.push(file)
    for (const next of graph.get(file) ?? []) visit(next)
    path.pop()
    done.add(file)
  }
  for (const file of graph.keys()) visit(file)
  return cycles
}

const files = sourceFiles()
const texts = new Map(files.map((file) => [file, readFileSync(join(SRC, file), 'utf8')]))
const imports = [...texts].flatMap(([file, text]) => importsOf(file, text))

describe('imports', () => {
  it('are found at all', () => {
    expect(imports.filter((found) => found.to === 'errors.ts').length).toBeGreaterThan(3)
  })

  it('keep to the layers', () => {
    const broken = imports.flatMap((found) => {
      const problem = problemOf(found)
      return problem === undefined ? [] : [`${found.place}: ${problem}`]
    })
    expect(broken).toEqual([])
  })

  it('stand in a layer that has a rule', () => {
    expect(files.filter((file) => !(layerOf(file) in LAYERS))).toEqual([])
  })

  it('form no cycle', () => {
    const graph = new Map(
      files.map((file) => [
        file,
        imports.filter((found) => found.from === file).flatMap(({ to }) => (to ? [to] : [])),
      ]),
    )
    expect(cyclesOf(graph)).toEqual([])
  })
})

describe('the rules themselves', () => {
  const check = (file: string, text: string): (string | undefined)[] =>
    importsOf(file, text).map(problemOf)

  it('refuse what points down, what goes past a door, and terminals in the engine', () => {
    expect(check('bytes/a.ts', "import { x } from '../storage/log.ts'")).toEqual([
      'bytes may not import storage',
    ])
    expect(check('records/a.ts', "export type { X } from '../commands/a.ts'")).toEqual([
      'records may not import commands',
    ])
    expect(check('cli/a.ts', "const x = await import('../records/a.ts')")).toEqual([
      'cli may not import records',
    ])
    expect(check('server/a.ts', "import { Log } from '../storage/log.ts'")).toEqual([
      'server takes storage through src/storage/index.ts only',
    ])
    expect(check('inspect/a.ts', "import ora from 'ora'")).toEqual([
      'inspect knows nothing of terminals, but imports ora',
    ])
    expect(check('storage/a.ts', "import { x } from './b'")).toEqual([
      'imports ./b: relative imports end in .ts',
    ])
  })

  it('let through what points up, siblings and doors', () => {
    const text = "import { Log } from '../storage/index.ts'\nimport { x } from './b.ts'"
    expect(check('server/a.ts', text)).toEqual([undefined, undefined])
    expect(check('commands/bench/a.ts', "import { X } from '../../storage/log.ts'")).toEqual([
      undefined,
    ])
  })

  it('name the line', () => {
    const [found] = importsOf('bytes/a.ts', "// one\n// two\nimport { x } from '../storage/log.ts'")
    expect(found?.place).toBe('src/bytes/a.ts:3')
  })

  it('see a cycle', () => {
    const graph = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']],
    ])
    expect(cyclesOf(graph)).toEqual(['b -> c -> b'])
  })
})

describe('every file of src', () => {
  it('holds nothing that was meant to go', () => {
    const found = [...texts].flatMap(([file, text]) =>
      text.split('\n').flatMap((line, i) => {
        const hit = FORBIDDEN.find(([, pattern]) => pattern.test(line))
        return hit === undefined ? [] : [`src/${file}:${i + 1}: ${hit[0]}`]
      }),
    )
    expect(found).toEqual([])
  })

  it(`has at most ${MAX_LINES} lines`, () => {
    const long = [...texts]
      .map(([file, text]) => [file, text.split('\n').length - 1] as const)
      .filter(([, lines]) => lines > MAX_LINES)
      .map(([file, lines]) => `src/${file}: ${lines} lines`)
    expect(long).toEqual([])
  })

  it('has a kebab-case name', () => {
    const odd = files.filter((file) =>
      file.split('/').some((part) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.ts)?$/.test(part)),
    )
    expect(odd).toEqual([])
  })

  it('exports by name, unless it is a command', () => {
    const found = [...texts]
      .filter(([file]) => layerOf(file) !== 'commands')
      .filter(([, text]) => /^export default\b/m.test(text))
      .map(([file]) => `src/${file}`)
    expect(found).toEqual([])
  })
})

interface CommandModule {
  readonly default?: {
    readonly summary?: string
    readonly description?: string
    readonly examples?: readonly unknown[]
  }
}

it('every command has a summary, a description and examples', async () => {
  const problems: string[] = []
  for (const file of files.filter((name) => layerOf(name) === 'commands')) {
    const module = (await import(pathToFileURL(join(SRC, file)).href)) as CommandModule
    const command = module.default
    if (command === undefined) {
      problems.push(`src/${file}: no command as its default export`)
      continue
    }
    if (!/\S/.test(command.summary ?? '')) problems.push(`src/${file}: no summary`)
    if (!/\S/.test(command.description ?? '')) problems.push(`src/${file}: no description`)
    const examples = command.examples?.length ?? 0
    if (examples < MIN_EXAMPLES) problems.push(`src/${file}: ${examples} examples`)
  }
  expect(problems).toEqual([])
})
