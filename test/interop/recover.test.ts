import fc from 'fast-check'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { recoverPartition } from '../../src/inspect/mend-recover.ts'
import type { MendOptions } from '../../src/inspect/mend-run.ts'
import { MendRefusedError } from '../../src/inspect/mend-run.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { partitionFixture, RECOVERY_NOW } from '../support/fixtures.ts'
import { applyHarm, fraction, harm } from '../support/harm.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { KafkaOracle } from '../support/oracle.ts'

/** RUNS=500 for a campaign; SEED repeats one. */
const runs = Number(process.env['RUNS'] ?? 60)
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31)

let oracle: KafkaOracle
beforeAll(async () => {
  oracle = await KafkaOracle.start()
})
afterAll(() => oracle.close())

const PATHS = [
  'crash/ledger-0',
  'broker-4.1.0/payments-0',
  'broker-4.1.0/orders-none-0',
  'broker-4.1.0/trimmed-0',
  'broker-4.1.0/compacted-0',
]

const campaign = fc.record({
  path: fc.constantFrom(...PATHS),
  harms: fc.array(harm, { minLength: 1, maxLength: 3 }),
  recoverFrom: fc.oneof(
    fc.constant(0),
    fraction.map((f) => f * 1.1),
  ),
  /** The folder stands in a data root, which names its log start and recovery point. */
  inRoot: fc.boolean(),
  logStart: fc.constantFrom(0, 0, 137, 400),
})

function configOf(path: string): Record<string, string> {
  const { 'segment.bytes': segmentBytes, ...config } = partitionFixture(path).config
  return segmentBytes === undefined ? config : { ...config, 'internal.segment.bytes': segmentBytes }
}

function lastOffsetOf(dir: string): number {
  const bases = readdirSync(dir).map((name) => Number.parseInt(name, 10))
  return Math.max(...bases.filter((base) => Number.isFinite(base))) + 50
}

const refused: Record<string, number> = {}

async function compare(
  root: string,
  input: typeof campaign extends fc.Arbitrary<infer T> ? T : never,
): Promise<void> {
  const { path, harms, inRoot } = input
  const name = basename(path)
  const ours = join(root, 'kafkats', name)
  const theirs = join(root, 'kafka', name)
  cpSync(partitionFixture(path).folder, ours, { recursive: true, preserveTimestamps: true })
  for (const each of harms) applyHarm(ours, each)
  cpSync(ours, theirs, { recursive: true, preserveTimestamps: true })
  const recoveryPoint = BigInt(Math.floor(input.recoverFrom * lastOffsetOf(ours)))
  const logStartOffset = inRoot ? BigInt(input.logStart) : 0n
  if (inRoot) {
    const at = name.lastIndexOf('-')
    const line = (offset: bigint): string =>
      `0\n1\n${name.slice(0, at)} ${name.slice(at + 1)} ${offset}\n`
    mkdirSync(join(root, 'kafkats'), { recursive: true })
    writeFileSync(join(root, 'kafkats', 'recovery-point-offset-checkpoint'), line(recoveryPoint))
    writeFileSync(join(root, 'kafkats', 'log-start-offset-checkpoint'), line(logStartOffset))
  }
  const before = folderBytes(ours)
  const config = configOf(path)
  const answer = await oracle.call({
    cmd: 'open',
    dir: theirs,
    config,
    cleanShutdown: false,
    recoveryPoint,
    logStartOffset,
    now: RECOVERY_NOW,
  })
  if (answer.ok) await oracle.ask({ cmd: 'close' })
  const options: MendOptions = {
    fs: diskFileSystem,
    config,
    now: RECOVERY_NOW,
    dryRun: false,
    backup: true,
    brokerIsStopped: false,
  }
  const target = { dir: ours, shown: ours }
  const recover = (dryRun: boolean): unknown => {
    try {
      return recoverPartition(target, {
        ...options,
        dryRun,
        ...(inRoot ? {} : { recoveryPoint }),
      })
    } catch (error) {
      if (!(error instanceof MendRefusedError)) throw error
      return error
    }
  }
  const foretold = recover(true)
  expect(folderBytes(ours), 'a dry run touches nothing').toEqual(before)
  const done = recover(false)
  if (done instanceof Error || !answer.ok) {
    refused[answer.error ?? 'none'] = (refused[answer.error ?? 'none'] ?? 0) + 1
    expect(
      { refused: done instanceof Error },
      `Kafka: ${answer.message ?? 'loaded it'}; ours: ${done instanceof Error ? done.message : 'loaded it'}`,
    ).toEqual({ refused: !answer.ok })
    expect(foretold).toBeInstanceOf(MendRefusedError)
    expect(folderBytes(ours), 'a refusal changes nothing').toEqual(before)
    expect(readdirSync(ours).some((each) => statSync(join(ours, each)).isDirectory())).toBe(false)
    return
  }
  const after = folderBytes(ours)
  expect(after).toEqual(folderBytes(theirs))
  const result = done as ReturnType<typeof recoverPartition>
  expect({ ...(foretold as object), dryRun: 0, backup: 0 }).toEqual({
    ...result,
    dryRun: 0,
    backup: 0,
  })
  if (result.backup !== null) expect(restored(ours, result.backup)).toEqual(before)
}

test(
  `recovery of random damage leaves what Kafka leaves, ${runs} runs`,
  async () => {
    await fc.assert(
      fc.asyncProperty(campaign, async (input) => {
        const root = mkdtempSync(join(tmpdir(), 'kafkats-recover-'))
        try {
          await compare(root, input)
        } finally {
          rmSync(root, { recursive: true, force: true })
        }
      }),
      { numRuns: runs, seed, endOnFailure: process.env['SHRINK'] === undefined },
    )
    console.log(`recover: ${runs} runs, SEED=${seed}, refused by both: ${JSON.stringify(refused)}`)
  },
  30 * 60_000,
)
