/**
 * Bundles the command line into dist/bundle, so that a command starts with a few files instead of hundreds: what runs
 * is `run-cli.js`, a file for each command, and chunks of what they share. The library (`import 'kafkats'`) and the files that
 * worker threads run stay as `tsc` built them. The last step of `npm run build`, behind `oclif manifest`.
 *
 * Native modules, and those of {@link EXTERNAL}, are not bundled: the sources load them on first use, and they are
 * installed as dependencies.
 */
import { build, type Metafile, type Plugin } from 'esbuild'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join, relative, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const require = createRequire(import.meta.url)
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SRC = join(ROOT, 'src')
const COMMANDS = join(SRC, 'commands')
const FOLDER = 'dist/bundle'
const NOTICES = 'THIRD-PARTY-NOTICES.txt'

/** For the first two only oclif's loader of TypeScript plugins asks; they are not installed with kafkats. */
const EXTERNAL = [
  'typescript',
  'ts-node',
  // Installed as dependencies, and loaded on first use by the few commands that need them.
  '@platformatic/kafka',
  'hyparquet',
  'hyparquet-writer',
  'csv-parse',
  'csv-stringify',
]

/** Packages that oclif seldom uses get files of their own, loaded on first use: unused code costs time to parse. */
const SELDOM = ['cli-spinners', 'ejs', 'lilconfig', 'minimatch', 'semver', 'tinyglobby']

/** Bundled CommonJS modules ask for these three. The names must not meet those of a bundled module. */
const BANNER = `import { createRequire as bundleCreateRequire } from 'node:module'
import { fileURLToPath as bundleFileUrlToPath } from 'node:url'
const require = bundleCreateRequire(import.meta.url)
const __filename = bundleFileUrlToPath(import.meta.url)
const __dirname = bundleFileUrlToPath(new URL('.', import.meta.url))
`

/** Bundles into `folder/dist/bundle`, and says what went where; paths in it are relative to this project. */
export async function bundle(folder = ROOT): Promise<Metafile> {
  const outdir = join(folder, FOLDER)
  const common = {
    absWorkingDir: ROOT,
    outdir,
    bundle: true,
    platform: 'node',
    target: 'node20.19',
    legalComments: 'none', // they are in the notices
    metafile: true,
    logLevel: 'warning',
  } as const
  const seldom = await build({
    ...common,
    entryPoints: Object.fromEntries(SELDOM.map((name) => [seldomFile(name), seldomPath(name)])),
    format: 'cjs',
    outExtension: { '.js': '.cjs' },
  })
  const { metafile } = await build({
    ...common,
    entryPoints: { 'run-cli': 'src/cli/run-cli.ts', ...commandEntries() },
    splitting: true,
    format: 'esm',
    external: EXTERNAL,
    banner: { js: BANNER },
    // Names and lines stay readable: minified, it starts no faster. The maps are for DEBUG=*, see bin/run.js.
    sourcemap: true,
    sourcesContent: false,
    plugins: [keepPlace, loadOnFirstUse],
  })
  const all = {
    inputs: { ...seldom.metafile.inputs, ...metafile.inputs },
    outputs: { ...seldom.metafile.outputs, ...metafile.outputs },
  }
  writeFileSync(join(outdir, NOTICES), notices(all))
  return all
}

const seldomFile = (name: string): string => `seldom-${name}`

/** As oclif finds it. */
function seldomPath(name: string): string {
  return createRequire(require.resolve('@oclif/core')).resolve(name)
}

/** The file of the bundle that holds a command, by the path of its module below the folder of commands, without `.ts`. */
export function bundledCommand(path: string): string {
  return `command-${path.split(/[\\/]/).join('-')}.js`
}

function commandEntries(): Record<string, string> {
  const files = readdirSync(COMMANDS, { recursive: true, encoding: 'utf8' })
  return Object.fromEntries(
    files
      .filter((file) => file.endsWith('.ts'))
      .map((file) => [basename(bundledCommand(file.slice(0, -3)), '.js'), join(COMMANDS, file)]),
  )
}

/**
 * A module that looks at `import.meta.url` finds its package, or the file of a worker thread, by where `tsc` put it;
 * in the bundle it is told that place instead of the chunk's.
 */
const keepPlace: Plugin = {
  name: 'keep-place',
  setup(run) {
    run.onLoad({ filter: /\.ts$/ }, ({ path }) => {
      if (!path.startsWith(SRC + sep)) return undefined
      const built = relative(SRC, path).split(sep).join('/').replace(/\.ts$/, '.js')
      const text = readFileSync(path, 'utf8')
      const place = `new URL('../${built}', import.meta.url).href`
      return { contents: text.replaceAll('import.meta.url', place), loader: 'ts' }
    })
  },
}

/** What loading costs most in oclif and decides nothing here: each must be found once, or oclif has changed. */
const REPLACED: Readonly<Record<string, readonly (readonly [from: string, to: string])[]>> = {
  // It compares with the engines of oclif's package.json, which is not beside a bundle.
  'index.js': [['\ncheckNodeVersion();\n', '\n']],
  // Collation loads ICU's tables. Ids are lower-case ASCII.
  'config/plugin.js': [
    ['.sort((a, b) => a.id.localeCompare(b.id))', '.sort((a, b) => (a.id < b.id ? -1 : 1))'],
  ],
  // Loads node:child_process, to tell Windows' Linux from others in a field that nothing here reads.
  'util/os.js': [
    [
      "return (await import('wsl-utils')).isWsl ? 'wsl' : (0, node_os_1.platform)();",
      'return (0, node_os_1.platform)();',
    ],
  ],
}

/**
 * oclif's modules are CommonJS made by TypeScript, which loads each import at once: half of the time of a start. The
 * names that TypeScript gives to imports are unique (`errors_1`), so each becomes a call that loads on first use.
 */
const loadOnFirstUse: Plugin = {
  name: 'load-on-first-use',
  setup(run) {
    run.onResolve({ filter: new RegExp(`^(${SELDOM.join('|')})$`) }, ({ path }) => {
      return { path: `./${seldomFile(path)}.cjs`, external: true }
    })
    run.onLoad({ filter: /@oclif[\\/]core[\\/]lib[\\/].*\.js$/ }, ({ path }) => {
      const name = path.split(sep).join('/').split('/@oclif/core/lib/').at(-1) ?? ''
      let text = readFileSync(path, 'utf8')
      for (const [from, to] of REPLACED[name] ?? []) {
        if (text.split(from).length !== 2) throw new Error(`${path} no longer has: ${from}`)
        text = text.replace(from, () => to)
      }
      return { contents: loadingOnFirstUse(text), loader: 'js' }
    })
  },
}

const IMPORT =
  /^(?:const|var) (\w+_\d+) = ((?:__importDefault\(|__importStar\()?require\("[^"]+"\)\)?);$/gm
const REEXPORT = /^exports\.(\w+) = (__importStar\(require\("[^"]+"\)\));$/gm

/** {@link loadOnFirstUse} for the text of one module. */
export function loadingOnFirstUse(text: string): string {
  const names: string[] = []
  let changed = text.replace(IMPORT, (_, name: string, load: string) => {
    names.push(name)
    return `let loaded$${name}; const load$${name} = () => loaded$${name} ??= ${load};`
  })
  for (const name of names) {
    // In parentheses because of `new errors_1.CLIError()`.
    changed = changed.replace(new RegExp(`(?<![\\w$.])${name}\\b`, 'g'), () => `(load$${name}())`)
  }
  return changed.replace(
    REEXPORT,
    (_, name: string, load: string) =>
      `let loaded$${name}; Object.defineProperty(exports, "${name}", ` +
      `{ enumerable: true, get: () => loaded$${name} ??= ${load} });`,
  )
}

/** The licences of the packages whose code is in the bundle. */
function notices(metafile: Metafile): string {
  const inputs = Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs))
  const folders = new Set(
    inputs.flatMap((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? []),
  )
  const sections = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(
      readFileSync(join(ROOT, folder, 'package.json'), 'utf8'),
    ) as { name: string; version: string; license?: string }
    const file = readdirSync(join(ROOT, folder)).find((each) =>
      /^(licen[cs]e|copying)\b/i.test(each),
    )
    const text =
      file === undefined
        ? 'The package comes without a licence text.'
        : readFileSync(join(ROOT, folder, file), 'utf8').trim()
    return `${name} ${version} (${license ?? 'no licence named'})\n\n${text}\n`
  })
  return `dist/bundle holds code of the packages below.\n\n${sections.join(`\n${'-'.repeat(80)}\n\n`)}`
}

interface Manifest {
  readonly commands: Readonly<Record<string, { relativePath: string[] }>>
}

/** Lets oclif load commands from the bundle. */
function pointManifestToBundle(): void {
  const path = join(ROOT, 'oclif.manifest.json')
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest
  for (const command of Object.values(manifest.commands)) {
    const [, , ...module] = command.relativePath // dist, commands, then the path of the module
    const file = bundledCommand(module.join('/').replace(/\.js$/, ''))
    if (!existsSync(join(ROOT, FOLDER, file))) throw new Error(`${file} was not bundled`)
    command.relativePath = [...FOLDER.split('/'), file]
  }
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await bundle()
  pointManifestToBundle()
}
