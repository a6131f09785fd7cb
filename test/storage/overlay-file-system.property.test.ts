import fc from 'fast-check'
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { StorageIoError } from '../../src/errors.ts'
import { diskFileSystem, type FileSystem } from '../../src/storage/file-system.ts'
import { OverlayFileSystem } from '../../src/storage/overlay-file-system.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const NAMES = ['a', 'b', 'c', 'd']
const name = fc.constantFrom(...NAMES)
const size = fc.constantFrom(0, 1, 100, 4095, 4096, 4097, 8192, 9000, 70_000)

const step = fc.oneof(
  fc.record({
    op: fc.constant('write' as const),
    name,
    bytes: fc.uint8Array({ maxLength: 9000, size: 'max' }),
    at: size,
  }),
  fc.record({ op: fc.constant('truncate' as const), name, length: size }),
  fc.record({ op: fc.constant('remove' as const), name }),
  fc.record({ op: fc.constant('rename' as const), name, to: name }),
  fc.record({ op: fc.constant('copy' as const), name, to: name }),
  fc.record({ op: fc.constant('create' as const), name }),
)

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

/** Does a step; what is refused is refused with the same code everywhere. */
function perform(fs: FileSystem, dir: string, each: Step): string {
  const path = join(dir, each.name)
  try {
    switch (each.op) {
      case 'write':
      case 'truncate': {
        const file = fs.open(path, 'read-write')
        if (each.op === 'write') file.write(each.bytes, each.at)
        else file.truncate(each.length)
        file.close()
        break
      }
      case 'remove':
        fs.remove(path)
        break
      case 'rename':
        fs.rename(path, join(dir, each.to))
        break
      case 'copy':
        fs.copy(path, join(dir, each.to))
        break
      case 'create':
        fs.open(path, 'create-new').close()
    }
    return 'done'
  } catch (error) {
    if (!(error instanceof StorageIoError)) throw error
    return /\(([A-Z]+)\)/.exec(error.message)?.[1] ?? error.message
  }
}

function contents(fs: FileSystem, dir: string): Record<string, string> {
  return Object.fromEntries(
    fs.list(dir).map((each) => [each, fs.readFile(join(dir, each), 1 << 30).toString('hex')]),
  )
}

it('behaves as the disk does, leaves the disk alone, and knows what would be different', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 14 }), (steps) => {
      const root = temporaryFolder()
      const real = join(root, 'real')
      const below = join(root, 'below')
      mkdirSync(real)
      for (const [i, each] of NAMES.slice(0, 3).entries()) {
        const bytes = Buffer.from(Array.from({ length: i * 6000 }, (_, at) => (at * 31 + i) & 255))
        writeFileSync(join(real, each), bytes)
      }
      cpSync(real, below, { recursive: true })
      const before = contents(diskFileSystem, below)
      const overlay = new OverlayFileSystem(diskFileSystem)
      for (const each of steps) {
        expect(perform(overlay, below, each)).toBe(perform(diskFileSystem, real, each))
      }
      const after = contents(diskFileSystem, real)
      expect(contents(overlay, below)).toEqual(after)
      expect(contents(diskFileSystem, below)).toEqual(before)
      expect(
        overlay.changes().map(({ path, sizeBefore, sizeAfter }) => [path, sizeBefore, sizeAfter]),
      ).toEqual(
        NAMES.filter((each) => before[each] !== after[each]).map((each) => [
          join(below, each),
          lengthOf(before[each]),
          lengthOf(after[each]),
        ]),
      )
      for (const { path, keptBytes } of overlay.changes()) {
        const each = path.slice(below.length + 1)
        const [was = '', is = ''] = [before[each], after[each]]
        expect(was.slice(0, 2 * keptBytes)).toBe(is.slice(0, 2 * keptBytes))
        const next = (text: string): string => text.slice(2 * keptBytes, 2 * keptBytes + 2)
        if (next(was) !== '' && next(is) !== '' && is !== '') expect(next(was)).not.toBe(next(is))
      }
    }),
    { numRuns: 150 },
  )
})

it('is not made longer by writing nothing behind the end', () => {
  const root = temporaryFolder()
  for (const fs of [diskFileSystem, new OverlayFileSystem(diskFileSystem)]) {
    const path = join(root, fs === diskFileSystem ? 'disk' : 'overlay')
    const file = fs.open(path, 'create')
    file.write(Buffer.alloc(0), 100)
    file.writev([Buffer.alloc(0)], 100)
    expect(file.size()).toBe(0)
    file.close()
  }
})

function lengthOf(hex: string | undefined): number | undefined {
  return hex === undefined ? undefined : hex.length / 2
}

it('makes folders that are nowhere, and lists what is in them', () => {
  const dir = temporaryFolder()
  const overlay = new OverlayFileSystem(diskFileSystem)
  overlay.makeDirectory(join(dir, 'x', 'y'))
  overlay.open(join(dir, 'x', 'y', 'file'), 'create').close()
  expect(overlay.list(join(dir, 'x'))).toEqual(['y'])
  expect(overlay.list(join(dir, 'x', 'y'))).toEqual(['file'])
  expect(() => {
    overlay.removeDirectory(join(dir, 'x', 'y'))
  }).toThrow('not empty')
  expect(readdirSync(dir)).toEqual([])
})

it('preallocates without room, and refuses what was opened to be read', () => {
  const path = join(temporaryFolder(), 'file')
  writeFileSync(path, 'abc')
  const overlay = new OverlayFileSystem(diskFileSystem)
  const file = overlay.open(path, 'read-write')
  file.truncate(1e12)
  file.write(Buffer.from('z'), 1e12 - 1)
  expect(file.size()).toBe(1e12)
  const bytes = Buffer.alloc(4)
  expect(file.read(bytes, 0, 4, 1)).toBe(4)
  expect(bytes.toString()).toBe('bc\0\0')
  file.close()
  expect(() => file.size()).toThrow('the file is closed')
  const reader = overlay.open(path, 'read')
  expect(() => {
    reader.truncate(0)
  }).toThrow(StorageIoError)
  reader.close()
  expect(readFileSync(path, 'utf8')).toBe('abc')
  expect(statSync(path).size).toBe(3)
})
