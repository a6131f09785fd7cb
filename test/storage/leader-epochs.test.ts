import * as fs from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { CorruptCheckpointError, InvalidArgumentError } from '../../src/errors.ts'
import { diskFileSystem } from '../../src/storage/file-system.ts'
import { LeaderEpochs } from '../../src/storage/leader-epochs.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

type Pairs = readonly (readonly [epoch: number, startOffset: bigint])[]

function epochsOf(pairs: Pairs): LeaderEpochs {
  return new LeaderEpochs(pairs.map(([epoch, startOffset]) => ({ epoch, startOffset })))
}

function pairsOf(epochs: LeaderEpochs): Pairs {
  return epochs.entries.map(({ epoch, startOffset }) => [epoch, startOffset])
}

const THREE: Pairs = [
  [2, 6n],
  [4, 10n],
  [7, 30n],
]

describe('assign', () => {
  test.each<[number, bigint, Pairs]>([
    [7, 30n, THREE],
    [7, 99n, THREE],
    [8, 31n, [...THREE, [8, 31n]]],
    [
      8,
      30n,
      [
        [2, 6n],
        [4, 10n],
        [8, 30n],
      ],
    ],
    [
      7,
      20n,
      [
        [2, 6n],
        [4, 10n],
        [7, 20n],
      ],
    ],
    [
      9,
      8n,
      [
        [2, 6n],
        [9, 8n],
      ],
    ],
    [
      3,
      50n,
      [
        [2, 6n],
        [3, 50n],
      ],
    ],
    [0, 0n, [[0, 0n]]],
  ])('epoch %s at %s', (epoch, offset, expected) => {
    const epochs = epochsOf(THREE)
    epochs.assign(epoch, offset)
    expect(pairsOf(epochs)).toEqual(expected)
  })

  test('refuses what is negative', () => {
    expect(() => epochsOf([]).assign(-1, 0n)).toThrow(InvalidArgumentError)
    expect(() => epochsOf([]).assign(0, -1n)).toThrow(InvalidArgumentError)
  })
})

describe('endOffsetFor', () => {
  test.each([
    [-1, -1, -1n],
    [0, 0, 6n],
    [2, 2, 10n],
    [3, 2, 10n],
    [4, 4, 30n],
    [6, 4, 30n],
    [7, 7, 44n],
    [8, -1, -1n],
  ])('%s', (asked, epoch, endOffset) => {
    expect(epochsOf(THREE).endOffsetFor(asked, 44n)).toEqual({ epoch, endOffset })
  })

  test('of nothing is unknown', () => {
    expect(epochsOf([]).endOffsetFor(0, 44n)).toEqual({ epoch: -1, endOffset: -1n })
  })
})

describe('truncation', () => {
  test.each<[bigint, Pairs]>([
    [-1n, THREE],
    [31n, THREE],
    [30n, THREE.slice(0, 2)],
    [7n, THREE.slice(0, 1)],
    [0n, []],
  ])('from the end, %s', (offset, expected) => {
    const epochs = epochsOf(THREE)
    epochs.truncateFromEnd(offset)
    expect(pairsOf(epochs)).toEqual(expected)
  })

  test.each<[bigint, Pairs]>([
    [5n, THREE],
    [6n, THREE],
    [
      9n,
      [
        [2, 9n],
        [4, 10n],
        [7, 30n],
      ],
    ],
    [
      10n,
      [
        [4, 10n],
        [7, 30n],
      ],
    ],
    [
      11n,
      [
        [4, 11n],
        [7, 30n],
      ],
    ],
    [99n, [[7, 99n]]],
  ])('from the start, %s', (offset, expected) => {
    const epochs = epochsOf(THREE)
    epochs.truncateFromStart(offset)
    expect(pairsOf(epochs)).toEqual(expected)
  })
})

test('epochForOffset, earliest and latest', () => {
  const epochs = epochsOf(THREE)
  expect([5n, 6n, 9n, 10n, 1000n].map((offset) => epochs.epochForOffset(offset))).toEqual([
    undefined,
    2,
    2,
    4,
    7,
  ])
  expect([epochs.earliest?.epoch, epochs.latest?.startOffset, epochs.latestEpoch]).toEqual([
    2,
    30n,
    7,
  ])
  expect(epochsOf([]).latestEpoch).toBeUndefined()
})

describe('the file', () => {
  let path: string
  beforeEach(() => {
    path = join(temporaryFolder(), 'leader-epoch-checkpoint')
  })
  const content = (): string => fs.readFileSync(path, 'utf8')

  test('is created empty, and written with each change only', () => {
    const epochs = LeaderEpochs.open(diskFileSystem, path)
    expect([content(), epochs.isEmpty]).toEqual(['', true])
    epochs.assign(0, 0n)
    expect(content()).toBe('0\n1\n0 0\n')
    epochs.assign(3, 17n)
    expect(content()).toBe('0\n2\n0 0\n3 17\n')
    fs.rmSync(path)
    epochs.assign(3, 18n)
    epochs.truncateFromEnd(18n)
    expect(fs.existsSync(path)).toBe(false)
    epochs.truncateFromEnd(17n)
    expect(content()).toBe('0\n1\n0 0\n')
    epochs.truncateFromStart(5n)
    expect(content()).toBe('0\n1\n0 5\n')
    expect(pairsOf(LeaderEpochs.open(diskFileSystem, path))).toEqual([[0, 5n]])
    epochs.clear()
    expect(content()).toBe('0\n0\n')
  })

  test('read without writing', () => {
    expect(LeaderEpochs.read(diskFileSystem, path).isEmpty).toBe(true)
    expect(fs.existsSync(path)).toBe(false)
    fs.writeFileSync(path, '0\n1\n2 8\n')
    const epochs = LeaderEpochs.read(diskFileSystem, path)
    epochs.assign(5, 9n)
    expect([pairsOf(epochs), content()]).toEqual([
      [
        [2, 8n],
        [5, 9n],
      ],
      '0\n1\n2 8\n',
    ])
  })

  test('lines that do not rise remove those before', () => {
    fs.writeFileSync(path, '0\n3\n1 10\n5 20\n3 15\n')
    expect(pairsOf(LeaderEpochs.read(diskFileSystem, path))).toEqual([
      [1, 10n],
      [3, 15n],
    ])
  })

  test.each([
    '0\n1\n-1 0\n',
    '0\n1\n1 -5\n',
    '0\n1\nx 0\n',
    '0\n1\n0 0 0\n',
    '0\n1\n2147483648 0\n',
  ])('%j is corrupt', (text) => {
    fs.writeFileSync(path, text)
    expect(() => LeaderEpochs.open(diskFileSystem, path)).toThrow(CorruptCheckpointError)
  })
})
