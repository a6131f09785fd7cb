import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BatchBuilder } from '../../src/records/batch-builder.ts'
import { batchesIn } from '../../src/records/batches.ts'
import { COMPRESSION_TYPES } from '../../src/records/compression.ts'
import { Log } from '../../src/storage/index.ts'
import { FaultFileSystem } from '../support/fault-file-system.ts'

const NOW = 1_767_225_600_000n
const CONFIG = {
  'segment.bytes': '600',
  'index.interval.bytes': '150',
  'segment.index.bytes': '240',
  'message.timestamp.after.max.ms': '9223372036854775807',
}

interface ModelRecord {
  readonly offset: bigint
  readonly value: string
}

/** A log as a list. */
interface Model {
  /** Batch by batch; those that only deletion took away are still here. */
  batches: { readonly records: readonly ModelRecord[]; readonly last: bigint }[]
  start: bigint
  end: bigint
  values: number
}

class Real {
  readonly fs = new FaultFileSystem()
  log: Log

  constructor() {
    // As on a disk, files are younger than their records. Kafka takes a log's time of change for its greatest timestamp
    // where a truncation, the first call after the opening, empties the time index (LogSegment.largestTimestamp).
    this.fs.now = Number(NOW) + 86_400_000
    this.log = this.open(0n)
  }

  open(logStartOffset: bigint): Log {
    this.log = Log.open('/data/model-0', {
      fs: this.fs,
      config: CONFIG,
      logStartOffset,
      now: () => NOW,
      random: () => 0,
      lock: { isAlive: () => false },
    })
    return this.log
  }
}

type Command = fc.Command<Model, Real>

const visible = (model: Model): Model['batches'] =>
  model.batches.filter(({ last }) => last >= model.start)

/** An offset of the log; 0 is its first one, 1 its end. */
function offsetAt({ start, end }: Model, share: number): bigint {
  return start + BigInt(Math.round(Number(end - start) * share))
}

/** Every command ends with this: the log holds what the list holds. */
function compare(model: Model, { log }: Real): void {
  expect([log.logStartOffset, log.logEndOffset]).toEqual([model.start, model.end])
  expect(log.highWatermark).toBe(model.end)
  const found: ModelRecord[] = []
  for (const batch of log.batches()) {
    for (const { offset, value } of batch.records()) {
      found.push({ offset, value: value?.toString() ?? '' })
    }
  }
  expect(found).toEqual(visible(model).flatMap(({ records }) => records))
  const bases = log.segments.map(({ baseOffset }) => baseOffset)
  expect(bases).toEqual([...bases].sort((a, b) => (a < b ? -1 : 1)))
}

class Run implements Command {
  readonly #name: string
  readonly #run: (model: Model, real: Real) => void

  constructor(name: string, run: (model: Model, real: Real) => void) {
    this.#name = name
    this.#run = run
  }

  check(): boolean {
    return true
  }

  run(model: Model, real: Real): void {
    this.#run(model, real)
    compare(model, real)
  }

  toString(): string {
    return this.#name
  }
}

const append = (count: number, codec: number, size: number): Command =>
  new Run(`append(${count}, ${codec}, ${size})`, (model, { log }) => {
    const builder = new BatchBuilder({ compressionType: COMPRESSION_TYPES[codec] })
    const records: ModelRecord[] = []
    for (let i = 0; i < count; i++) {
      const offset = model.end + BigInt(i)
      const value = `${model.values++} `.padEnd(size, '.')
      builder.append(NOW + 1n + offset, { key: null, value: Buffer.from(value) })
      records.push({ offset, value })
    }
    const info = log.appendAsLeader(builder.build() ?? Buffer.alloc(0))
    expect(info.firstOffset).toBe(model.end)
    model.end += BigInt(count)
    model.batches.push({ records, last: model.end - 1n })
  })

const read = (share: number, maxBytes: number): Command =>
  new Run(`read(${share}, ${maxBytes})`, (model, { log }) => {
    const offset = offsetAt(model, share)
    const { slice } = log.read(offset, { maxBytes })
    const bytes = Buffer.alloc(slice?.length ?? 0)
    slice?.file.read(bytes, 0, bytes.length, slice.position)
    const expected = visible(model).filter(({ last }) => last >= offset)
    const found = [...batchesIn(bytes)].map((batch) => batch.baseOffset)
    // A prefix of what is there, at least one batch.
    expect(found).toEqual(expected.slice(0, found.length).map(({ records }) => records[0]?.offset))
    expect(found.length > 0).toBe(expected.length > 0)
  })

const lookup = (share: number): Command =>
  new Run(`offsetForTimestamp(${share})`, (model, { log }) => {
    const records = visible(model)
      .flatMap((batch) => batch.records)
      .filter(({ offset }) => offset >= model.start)
    const wanted = records[Math.floor(share * (records.length - 1))]
    if (wanted === undefined) return
    expect(log.offsetForTimestamp(NOW + 1n + wanted.offset)?.offset).toBe(wanted.offset)
  })

const truncate = (share: number): Command =>
  new Run(`truncateTo(${share})`, (model, { log }) => {
    const offset = offsetAt(model, share)
    if (offset >= model.end) return
    expect(log.truncateTo(offset)).toBe(true)
    model.batches = model.batches.filter(({ last }) => last < offset)
    model.end = offset
  })

const moveStart = (share: number): Command =>
  new Run(`incrementLogStartOffset(${share})`, (model, { log }) => {
    const offset = offsetAt(model, share)
    expect(log.incrementLogStartOffset(offset)).toBe(offset > model.start)
    model.start = offset
  })

const reopen = (end: 'close' | 'abandon'): Command =>
  new Run(`reopen(${end})`, (model, real) => {
    const active = real.log.segments.at(-1)?.baseOffset ?? 0n
    real.log[end]()
    real.open(model.start)
    // The end is told from the data again; a truncation inside a batch had left it behind them.
    const dataEnd = (model.batches.at(-1)?.last ?? -1n) + 1n
    model.end = dataEnd > active ? dataEnd : active
    if (model.end < model.start) {
      model.batches = []
      model.end = model.start
    }
  })

const share = fc.double({ min: 0, max: 1, noNaN: true })

test('a log does what a list does, whatever the order of calls', () => {
  const commands: fc.Arbitrary<Command>[] = [
    ...Array.from({ length: 4 }, () =>
      fc
        .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 0, max: 4 }), fc.nat(80))
        .map((args) => append(...args)),
    ),
    fc.tuple(share, fc.integer({ min: 1, max: 700 })).map((args) => read(...args)),
    share.map(lookup),
    share.map((at) => truncate(Math.sqrt(Math.sqrt(at)))),
    share.map((at) => moveStart(at / 3)),
    fc.constant(new Run('deleteOldSegments', (_model, { log }) => void log.deleteOldSegments())),
    fc.constant(new Run('flush', (_model, { log }) => log.flush())),
    fc.constant(
      new Run('roll', (_model, { log }) => {
        if (log.segments.at(-1)?.size !== 0) log.roll()
      }),
    ),
    fc.constantFrom('close' as const, 'abandon' as const).map(reopen),
  ]
  fc.assert(
    fc.property(fc.commands(commands, { maxCommands: 60, size: 'max' }), (calls) => {
      fc.modelRun(
        () => ({ model: { batches: [], start: 0n, end: 0n, values: 0 }, real: new Real() }),
        calls,
      )
    }),
    { numRuns: 80 },
  )
})
