import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { NotAPartitionError } from '../errors.ts'
import { offsetOfFileName, parseFileName, parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import { FindingReporter, type Finding } from './finding.ts'
import { walkLog } from './verify-log.ts'
import { verifyPartition, type PartitionReport } from './verify-partition.ts'
import { hasRootFiles, ROOT_FILE_NAMES, RootFiles } from './verify-root.ts'

/** What `verify` was asked to look at. */
type Target =
  | { readonly kind: 'root'; readonly dir: string }
  | { readonly kind: 'partition'; readonly dir: string }
  | { readonly kind: 'file'; readonly dir: string; readonly name: string }

export interface VerifyTotals {
  readonly partitions: number
  readonly segments: number
  /** Of all files that were looked at. */
  readonly bytes: number
  readonly batches: number
  readonly records: number
}

export interface VerifyOptions {
  readonly fileSystem: FileSystem
  /** Decode and decompress every record, too. */
  readonly deep: boolean
  /** Is given each finding as it is found. */
  readonly onFinding: (finding: Finding) => void
}

/**
 * Checks partition folders, single files and data roots, and changes nothing: files are opened for reading and links in
 * the folders are not followed. Yields the bytes of logs that are done.
 * @throws NotAPartitionError for a path that is none of these, StorageIoError where it cannot be looked at
 */
export function* verify(
  paths: readonly string[],
  options: VerifyOptions,
): Generator<number, VerifyTotals, void> {
  const targets = paths.map((path) => targetOf(options.fileSystem, path))
  const run = new VerifyRun(options)
  for (const target of targets) yield* run.target(target)
  run.compareRoots()
  return run.totals
}

/** Bytes of the logs that {@link verify} would read. */
export function bytesToVerify(fileSystem: FileSystem, paths: readonly string[]): number {
  const logBytes = (dir: string): number =>
    fileSystem
      .list(dir)
      .filter((name) => name.endsWith('.log'))
      .reduce((sum, name) => sum + (fileSystem.stat(join(dir, name))?.size ?? 0), 0)
  let sum = 0
  for (const path of paths) {
    const target = targetOf(fileSystem, path)
    if (target.kind === 'file') sum += fileSystem.stat(join(target.dir, target.name))?.size ?? 0
    else if (target.kind === 'partition') sum += logBytes(target.dir)
    else {
      for (const name of fileSystem.list(target.dir)) {
        const dir = join(target.dir, name)
        if (parsePartitionFolder(name) && fileSystem.stat(dir)?.isDirectory === true) {
          sum += logBytes(dir)
        }
      }
    }
  }
  return sum
}

/** What a path is; a link given by the user himself is followed. */
function targetOf(fileSystem: FileSystem, given: string): Target {
  let path = given
  let stat = fileSystem.stat(path)
  if (stat?.isSymbolicLink === true) {
    path = realpathSync(given)
    stat = fileSystem.stat(path)
  }
  if (stat === undefined) {
    throw new NotAPartitionError(`${given}: no such file or folder`, { file: given })
  }
  if (stat.isFile) return { kind: 'file', dir: dirname(path), name: basename(path) }
  if (!stat.isDirectory) {
    throw new NotAPartitionError(`${given} is neither a file nor a folder`, { file: given })
  }
  const names = fileSystem.list(path)
  if (names.some((name) => parseFileName(name) !== undefined))
    return { kind: 'partition', dir: path }
  const holdsPartitions = names.some(
    (name) =>
      parsePartitionFolder(name) !== undefined &&
      fileSystem.stat(join(path, name))?.isFile === false,
  )
  if (holdsPartitions || hasRootFiles(fileSystem, path)) return { kind: 'root', dir: path }
  if (parsePartitionFolder(basename(resolve(path))) !== undefined) {
    return { kind: 'partition', dir: path }
  }
  throw new NotAPartitionError(`${given} is no partition folder and no data root`, {
    file: given,
    hint: 'name a folder such as orders-0, a file in it, or the folder that holds such folders',
  })
}

class VerifyRun {
  readonly #options: VerifyOptions
  readonly #reporter: FindingReporter
  readonly #roots: RootFiles[] = []
  /** Topic id by topic, and the folder that told it. */
  readonly #topicIds = new Map<string, { readonly id: string; readonly dir: string }>()
  readonly #totals = { partitions: 0, segments: 0, bytes: 0, batches: 0, records: 0 }
  #doneBytes = 0

  constructor(options: VerifyOptions) {
    this.#options = options
    this.#reporter = new FindingReporter(options.onFinding)
  }

  get totals(): VerifyTotals {
    return { ...this.#totals }
  }

  *target(target: Target): Generator<number, void, void> {
    if (target.kind === 'root') yield* this.#root(target.dir)
    else if (target.kind === 'partition') yield* this.#partition(target.dir)
    else yield* this.#file(target.dir, target.name)
  }

  *#root(dir: string): Generator<number, void, void> {
    const root = new RootFiles(this.#options.fileSystem, dir, this.#reporter)
    this.#roots.push(root)
    this.#totals.bytes += root.bytes
    const names = root.partitions()
    for (const name of names) {
      root.check(yield* this.#walk(join(dir, name), root))
    }
    root.checkNames(new Set(names))
    this.#reporter.flush()
  }

  *#partition(dir: string): Generator<number, void, void> {
    const { fileSystem } = this.#options
    const parent = dirname(resolve(dir))
    const root = hasRootFiles(fileSystem, parent)
      ? new RootFiles(fileSystem, parent, this.#reporter)
      : undefined
    const report = yield* this.#walk(dir, root)
    root?.check(report)
    this.#reporter.flush()
  }

  *#walk(dir: string, root: RootFiles | undefined): Generator<number, PartitionReport, void> {
    const name = basename(resolve(dir))
    const task = { dir, deep: this.#options.deep, root: root?.of(name) }
    const walk = verifyPartition(this.#options.fileSystem, task, this.#reporter)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done !== true) {
        yield this.#doneBytes + step.value
        continue
      }
      const report = step.value
      this.#doneBytes += report.logBytes
      this.#totals.partitions++
      this.#totals.segments += report.segments
      this.#totals.bytes += report.bytes
      this.#totals.batches += report.batches
      this.#totals.records += report.records
      this.#compareTopicId(dir, report)
      return report
    }
  }

  #compareTopicId(dir: string, { topicId, partition }: PartitionReport): void {
    const topic = parsePartitionFolder(partition)?.topic
    if (topic === undefined || topicId === undefined) return
    const known = this.#topicIds.get(topic)
    if (known === undefined) this.#topicIds.set(topic, { id: topicId, dir })
    else if (known.id !== topicId) {
      this.#reporter.report(
        'K8-topic-ids-differ',
        { file: join(dir, 'partition.metadata') },
        `topic id ${topicId} differs from ${known.id} in ${known.dir}`,
      )
    }
  }

  /** One file: a log by itself, any other against the folder it stands in. */
  *#file(dir: string, name: string): Generator<number, void, void> {
    const { fileSystem, onFinding } = this.#options
    const path = join(dir, name)
    const parsed = parseFileName(name)
    this.#totals.bytes += fileSystem.stat(path)?.size ?? 0
    if (parsed?.kind === 'log' || name.endsWith('.log')) {
      yield* this.#logFile(path, parsed?.baseOffset ?? offsetOfFileName(name))
      return
    }
    const reporter = new FindingReporter((finding) => {
      if (finding.file === path) onFinding(finding)
    })
    if (ROOT_FILE_NAMES.includes(name)) {
      new RootFiles(fileSystem, dir, reporter)
      return
    }
    if (parsed === undefined) {
      throw new NotAPartitionError(`${path} is no file that a log consists of`, {
        file: path,
        hint: 'name a .log, an index, a snapshot or a checkpoint file, or a folder of them',
      })
    }
    const { kind, baseOffset } = parsed
    const isOfSegment = kind === 'offset-index' || kind === 'time-index'
    const walk = verifyPartition(
      fileSystem,
      {
        dir,
        deep: false,
        root: undefined,
        onlySegment: isOfSegment ? baseOffset : kind === 'partition-metadata' ? -1n : undefined,
      },
      reporter,
    )
    for (let step = walk.next(); step.done !== true; step = walk.next()) yield step.value
  }

  *#logFile(path: string, baseOffset: bigint | undefined): Generator<number, void, void> {
    const { fileSystem, deep } = this.#options
    const reporter = this.#reporter
    const file: OpenFile = fileSystem.open(path, 'read')
    try {
      const totals = yield* walkLog({
        file,
        size: file.size(),
        baseOffset,
        expectedOffset: undefined,
        nextBaseOffset: undefined,
        deep,
        reporter,
        visitor: {
          batch: () => undefined,
          damagedBatch: () => undefined,
          lostRange: () => undefined,
        },
      })
      this.#totals.segments++
      this.#totals.batches += totals.batches
      this.#totals.records += totals.records
    } finally {
      file.close()
    }
    reporter.flush()
  }

  /** What several data roots of one broker have in common, and what not. */
  compareRoots(): void {
    const [first, ...others] = this.#roots.filter(({ meta }) => meta !== undefined)
    if (first === undefined) return
    for (const root of others) {
      const place = { file: join(root.dir, 'meta.properties') }
      if (root.meta?.clusterId !== first.meta?.clusterId) {
        this.#reporter.report(
          'K10-meta-properties',
          place,
          `cluster.id ${root.meta?.clusterId ?? ''} differs from ${first.meta?.clusterId ?? ''} in ${first.dir}`,
        )
      }
      const id = root.meta?.directoryId
      if (id !== undefined && id === first.meta?.directoryId) {
        this.#reporter.report(
          'K10-meta-properties',
          place,
          `directory.id ${id} is that of ${first.dir}, too`,
        )
      }
    }
    this.#reporter.flush()
  }
}
