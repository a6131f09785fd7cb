import { Args } from '@oclif/core'
import { BaseCommand, EXIT } from '../cli/base-command.ts'
import { breathe, startProgress } from '../cli/progress.ts'
import { formatBytes, formatCount } from '../cli/table.ts'
import { InvalidArgumentError } from '../errors.ts'
import { resolvePath, type PartitionPath } from '../inspect/partition-path.ts'
import { diffReplicas, type Alone, type ReplicaDiff } from '../inspect/replica-diff.ts'
import { LOG_SUFFIX } from '../storage/file-names.ts'
import { diskFileSystem } from '../storage/file-system.ts'

/** So many ranges are shown to people. */
const SHOWN_RANGES = 10

export default class Diff extends BaseCommand<ReplicaDiff> {
  static override summary =
    'Compare two replicas of a partition: where they part, what each has alone.'
  static override description = `Compares the batches of two partition folders in offset order, byte by byte with \
their leader epochs. How they are cut into segments makes no difference. In a \
data root what lies below the log start is left out.

The last common offset is where both still agree, counted from where the later \
of them begins. The exit status is 4 where they differ, and 3 where one of them \
is damaged. Changes nothing.`
  static override examples = [
    {
      description: 'A log, and what was left when a crash had torn its end.',
      command:
        '<%= config.bin %> diff fixtures/crash/ledger-0 fixtures/damaged/torn-tail/after/ledger-0',
    },
    {
      description: 'Two partitions that never were replicas, as JSON.',
      command:
        '<%= config.bin %> diff fixtures/broker-4.1.0/keyed-0 fixtures/broker-4.1.0/keyed-1 --json',
    },
  ]
  static override enableJsonFlag = true
  static override args = {
    a: Args.string({ description: 'A partition folder.', required: true, ignoreStdin: true }),
    b: Args.string({ description: 'Another replica of it.', required: true, ignoreStdin: true }),
  }

  override async run(): Promise<ReplicaDiff> {
    const { args } = await this.parse(Diff)
    const [a, b] = [replicaAt(args.a), replicaAt(args.b)]
    const progress = await startProgress({
      text: 'Comparing',
      totalBytes: logBytes(a) + logBytes(b),
    })
    let result: ReplicaDiff
    try {
      const walk = diffReplicas(diskFileSystem, a, b)
      let step = walk.next()
      for (; step.done !== true; step = walk.next()) {
        progress.update(step.value)
        await breathe()
      }
      result = step.value
    } finally {
      progress.stop()
    }
    if (!result.same) this.setExitStatus(EXIT.different)
    this.print(diffText(result))
    return result
  }
}

function replicaAt(path: string): PartitionPath {
  const found = resolvePath(path)
  if (found.kind === 'partition') return found
  throw new InvalidArgumentError(`${path} is no partition folder; two of them are compared`, {
    file: path,
    hint: 'name folders such as …/orders-0',
  })
}

function logBytes({ dir }: PartitionPath): number {
  return diskFileSystem
    .list(dir)
    .filter((name) => name.endsWith(LOG_SUFFIX))
    .reduce((sum, name) => sum + (diskFileSystem.stat(`${dir}/${name}`)?.size ?? 0), 0)
}

/** The result for people. */
export function diffText(diff: ReplicaDiff): string {
  const { same, commonOffset, commonEpoch, firstDifference } = diff
  const common =
    commonOffset === null
      ? 'nothing in common'
      : `the last common offset is ${commonOffset}${commonEpoch === null || commonEpoch < 0 ? '' : ` (leader epoch ${commonEpoch})`}`
  if (same) return `Both are the same${commonOffset === null ? ' and empty' : `; ${common}`}.\n`
  const lines = [`They differ; ${common}.`]
  if (firstDifference !== null) {
    const { offset, a, b } = firstDifference
    lines.push('', `First difference at offset ${offset}:`)
    for (const [name, place] of [
      ['A', a],
      ['B', b],
    ] as const) {
      const where = place === null ? 'has nothing there' : `${place.file}, byte ${place.position}`
      lines.push(`  ${name}: ${where}`)
    }
  }
  lines.push('', ...aloneLines('A', diff.onlyA), ...aloneLines('B', diff.onlyB))
  return `${lines.join('\n')}\n`
}

function aloneLines(name: string, alone: Alone): string[] {
  if (alone.batches === 0) return [`Only in ${name}: nothing`]
  const { ranges, moreRanges, batches, records, bytes } = alone
  const more = moreRanges + Math.max(0, ranges.length - SHOWN_RANGES)
  return [
    `Only in ${name}: ${formatCount(records)} ${records === 1 ? 'record' : 'records'} in ${formatCount(batches)} ${batches === 1 ? 'batch' : 'batches'}, ${formatBytes(bytes)}`,
    ...ranges
      .slice(0, SHOWN_RANGES)
      .map(({ firstOffset, lastOffset }) => `  offsets ${firstOffset} to ${lastOffset}`),
    ...(more > 0 ? [`  and ${formatCount(more)} more ranges`] : []),
  ]
}
