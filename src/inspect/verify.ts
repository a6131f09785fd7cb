import { basename, dirname, join, resolve } from 'node:path'
import { NotAPartitionError } from '../errors.ts'
import { offsetOfFileName, parseFileName, parsePartitionFolder } from '../storage/file-names.ts'
import type { FileSystem, OpenFile } from '../storage/file-system.ts'
import { FindingReporter, type Finding } from './finding.ts'
import type { VerifyAhead } from './verify-ahead.ts'
import { walkLog } from './verify-log.ts'
import { verifyPartition, type PartitionReport } from './verify-partition.ts'
import { hasRootFiles, ROOT_FILE_NAMES, RootFiles } from './verify-root.ts'
import { targetOf, type Target } from './verify-target.ts'

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
  /** What other threads do ahead of the walk; absent where it does everything itself. */
  readonly ahead?: VerifyAhead
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
    const report = (yield* this.#takeFromAhead(dir)) ?? (yield* this.#verify(dir, root))
    this.#doneBytes += report.logBytes
    this.#totals.partitions++
    this.#totals.segments += report.segments
    this.#totals.bytes += report.bytes
    this.#totals.batches += report.batches
    this.#totals.records += report.records
    this.#compareTopicId(dir, report)
    return report
  }

  /** What another thread made of the partition; undefined where it is to be done here. */
  *#takeFromAhead(dir: string): Generator<number, PartitionReport | undefined, void> {
    const { ahead, onFinding } = this.#options
    let outcome = ahead?.partition(dir)
    for (; outcome === 'pending'; outcome = ahead?.partition(dir)) yield this.#doneBytes
    if (outcome === undefined) return undefined
    for (const finding of outcome.findings) onFinding(finding)
    // A partition ends with it here, too.
    this.#reporter.flush()
    return outcome.report
  }

  *#verify(dir: string, root: RootFiles | undefined): Generator<number, PartitionReport, void> {
    const { fileSystem, deep, ahead } = this.#options
    const task = { dir, deep, root: root?.of(basename(resolve(dir))) }
    const walk = verifyPartition(fileSystem, task, this.#reporter, ahead)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done === true) return step.value
      yield this.#doneBytes + step.value
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
    const { fileSystem, deep, ahead } = this.#options
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
        ahead: ahead?.batches(path),
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
    ahead?.done()
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
