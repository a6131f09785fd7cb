import { cpSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Finding } from '../../src/inspect/finding.ts'
import { DAMAGES, FIXTURES, PARTITIONS } from '../support/fixtures.ts'
import { expectedBatches } from '../support/expected.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { verified } from '../support/verified.ts'

const grave = (findings: readonly Finding[]): Finding[] =>
  findings.filter(({ severity }) => severity !== 'info')

const names = (findings: readonly Finding[]): string[] =>
  findings.map(({ severity, code, file }) => `${severity} ${code} ${file.split('/').at(-1) ?? ''}`)

describe.each(PARTITIONS)('$path', ({ path, folder }) => {
  it.each([false, true])('is sound (deep: %s), and all of it was read', (deep) => {
    const { findings, totals } = verified([folder], { deep })
    expect(grave(findings)).toEqual([])
    const batches = expectedBatches(path)
    expect(totals).toMatchObject({
      partitions: 1,
      batches: batches.length,
      records: batches.reduce((sum, { records }) => sum + records.length, 0),
    })
  })
})

it('finds the data root of a broker sound, and reads every file of it', () => {
  const { findings, totals } = verified([join(FIXTURES, 'broker-4.1.0')], { deep: true })
  expect(grave(findings)).toEqual([])
  expect(totals.partitions).toBe(17)
  expect(new Set(names(findings).map((name) => name.split(' ')[1]))).toEqual(
    new Set(['S2-stray-snapshot', 'E2-start-at-end', 'N2-offset-gap']),
  )
})

it('finds the folder of a killed writer to be no more than not closed', () => {
  expect(names(verified([join(FIXTURES, 'crash/ledger-0')]).findings)).toEqual([
    'info I3-preallocated 00000000000000000318.index',
    'info I3-preallocated 00000000000000000318.timeindex',
  ])
})

describe.each(DAMAGES)('$name', ({ name, before, after }) => {
  it('is found, in the file that has it', () => {
    const { findings } = verified([before])
    const own = names(findings).filter((found) => !found.includes('I3-preallocated'))
    expect(own).toEqual(EXPECTED[name])
  })

  it('is gone after recovery by Kafka', () => {
    expect(grave(verified([after], { deep: true }).findings)).toEqual([])
  })
})

const TXNINDEX = (base: string): string => `warning X5-missing-entry ${base}.txnindex`
const [FIRST, MIDDLE, LAST] = ['0', '160', '318'].map((base) => base.padStart(20, '0'))

const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'as-is': [],
  'bad-snapshot': [
    `warning S1-snapshot-crc ${MIDDLE}.snapshot`,
    `warning S1-snapshot-crc ${LAST}.snapshot`,
  ],
  'flip-last-batch': [`error L4-crc-mismatch ${LAST}.log`],
  'flip-mid-active': [`error L4-crc-mismatch ${LAST}.log`],
  'flip-mid-segment': [`error L4-crc-mismatch ${MIDDLE}.log`],
  'index-not-multiple': [`warning I2-partial-entry ${MIDDLE}.index`],
  'leftover-cleaned': [`info N4-leftover ${MIDDLE}.log.cleaned`],
  'leftover-deleted': [`info N4-leftover ${FIRST}.log.deleted`],
  'leftover-swap': ['index', 'log', 'timeindex', 'txnindex'].map(
    (kind) => `warning N4-unfinished-swap ${MIDDLE}.${kind}.swap`,
  ),
  'missing-middle-log': [
    `error I1-log-missing ${MIDDLE}.index`,
    `warning I1-orphan-index ${MIDDLE}.timeindex`,
    `warning I1-orphan-index ${MIDDLE}.txnindex`,
    `info N2-offset-gap ${LAST}.log`,
    `info S2-stray-snapshot ${MIDDLE}.snapshot`,
  ],
  'no-epochs': ['warning E3-checkpoint-missing leader-epoch-checkpoint'],
  'no-indexes': [FIRST, MIDDLE, LAST].flatMap((base = '') => [
    `warning I1-index-missing ${base}.index`,
    `warning I1-index-missing ${base}.timeindex`,
    ...(base === LAST ? [] : [TXNINDEX(base), TXNINDEX(base)]),
  ]),
  'no-snapshots': [
    `info S5-older-snapshot-missing ${MIDDLE}.snapshot`,
    `warning S5-snapshot-missing ${LAST}.snapshot`,
  ],
  'torn-header': [`warning L1-torn-tail ${LAST}.log`],
  'torn-tail': [`warning L1-torn-tail ${LAST}.log`],
  'txnindex-garbage': [`warning I2-partial-entry ${MIDDLE}.txnindex`],
  'zero-tail': [`warning L1-zero-tail ${LAST}.log`],
}

it('needs no data root around a partition', () => {
  const copy = join(temporaryFolder(), 'payments-0')
  cpSync(join(FIXTURES, 'broker-4.1.0/payments-0'), copy, { recursive: true })
  expect(readdirSync(copy).length).toBeGreaterThan(100)
  expect(names(verified([copy], { deep: true }).findings)).toEqual([
    'info S2-stray-snapshot 00000000000000001762.snapshot',
  ])
})
