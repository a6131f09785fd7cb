import { execFileSync } from 'node:child_process'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StorageIoError } from '../../src/errors.ts'
import { diskFileSystem as disk, osErrorCode, replaceFile } from '../../src/storage/file-system.ts'

let dir: string
beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'kafkats-fs-'))
})
afterEach(() => fs.rmSync(dir, { recursive: true, force: true }))

function failure(operation: () => unknown): StorageIoError {
  try {
    operation()
  } catch (error) {
    if (error instanceof StorageIoError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

describe('an open file', () => {
  test('writes at positions, reads back, and reads short only at the end', () => {
    const file = disk.open(join(dir, 'a'), 'create')
    file.write(Buffer.from('hello'), 3)
    expect(file.size()).toBe(8)
    const target = Buffer.alloc(10, 0xff)
    expect(file.read(target, 1, 9, 0)).toBe(8)
    expect(target.subarray(1, 9).toString()).toBe('\0\0\0hello')
    expect(file.read(target, 0, 4, 8)).toBe(0)
    file.truncate(4)
    expect(file.size()).toBe(4)
    file.truncate(6)
    expect(file.size()).toBe(6)
    file.sync()
    file.close()
    file.close()
  })

  test('writev takes more buffers than one system call does, and empty ones', () => {
    const file = disk.open(join(dir, 'a'), 'create-new')
    const buffers = Array.from({ length: 3000 }, (_, i) => Buffer.from(i % 3 === 0 ? '' : `${i};`))
    file.writev(buffers, 2)
    file.writev([], 0)
    file.close()
    expect(fs.readFileSync(join(dir, 'a'))).toEqual(Buffer.concat([Buffer.alloc(2), ...buffers]))
  })

  test('is of no use after close', () => {
    const file = disk.open(join(dir, 'a'), 'create')
    file.close()
    expect(file.fd).toBe(-1)
    expect(failure(() => file.size()).message).toContain('is closed')
    expect(failure(() => file.write(Buffer.from('x'), 0)).file).toBe(join(dir, 'a'))
  })
})

describe('open', () => {
  test('read and read-write never create', () => {
    for (const mode of ['read', 'read-write'] as const) {
      const error = failure(() => disk.open(join(dir, 'none'), mode))
      expect(error.message).toBe(`cannot open ${join(dir, 'none')}: it does not exist (ENOENT)`)
      expect(osErrorCode(error)).toBe('ENOENT')
      expect(error.hint).toBe('Check the path.')
    }
    expect(disk.list(dir)).toEqual([])
  })

  test('create-new refuses an existing file, create keeps its content', () => {
    fs.writeFileSync(join(dir, 'a'), 'abc')
    expect(osErrorCode(failure(() => disk.open(join(dir, 'a'), 'create-new')))).toBe('EEXIST')
    const file = disk.open(join(dir, 'a'), 'create')
    expect(file.size()).toBe(3)
    file.close()
  })

  test('refuses what is not a regular file, without waiting', () => {
    fs.mkdirSync(join(dir, 'folder'))
    execFileSync('mkfifo', [join(dir, 'fifo')])
    fs.writeFileSync(join(dir, 'elsewhere'), 'x')
    fs.symlinkSync(join(dir, 'elsewhere'), join(dir, 'link'))
    expect(failure(() => disk.open(join(dir, 'folder'), 'read')).message).toContain('a folder')
    expect(failure(() => disk.open(join(dir, 'fifo'), 'read')).message).toContain('a FIFO')
    expect(failure(() => disk.open(join(dir, 'fifo'), 'read-write')).message).toContain('a FIFO')
    expect(failure(() => disk.open('/dev/null', 'read')).message).toContain('a device')
    expect(failure(() => disk.open(join(dir, 'link'), 'read')).message).toContain('symbolic link')
    expect(failure(() => disk.open(join(dir, 'link'), 'create')).hint).toContain('leads to')
    expect(failure(() => disk.copy(join(dir, 'fifo'), join(dir, 'b'))).message).toContain('FIFO')
  })
})

describe('folders', () => {
  test('list is sorted; remove forgives what is missing', () => {
    disk.makeDirectory(join(dir, 'x/y'))
    disk.makeDirectory(join(dir, 'x/y'))
    for (const name of ['b', 'B', 'a']) fs.writeFileSync(join(dir, 'x', name), name)
    expect(disk.list(join(dir, 'x'))).toEqual(['B', 'a', 'b', 'y'])
    disk.remove(join(dir, 'x/a'))
    disk.remove(join(dir, 'x/a'))
    disk.removeDirectory(join(dir, 'x/y'))
    disk.removeDirectory(join(dir, 'x/y'))
    expect(osErrorCode(failure(() => disk.removeDirectory(join(dir, 'x'))))).toBe('ENOTEMPTY')
    disk.syncDirectory(join(dir, 'x'))
    expect(disk.list(join(dir, 'x'))).toEqual(['B', 'b'])
  })

  test('rename, link, copy and times', () => {
    fs.writeFileSync(join(dir, 'a'), 'abc')
    disk.link(join(dir, 'a'), join(dir, 'b'))
    disk.copy(join(dir, 'a'), join(dir, 'c'))
    expect(osErrorCode(failure(() => disk.copy(join(dir, 'a'), join(dir, 'c'))))).toBe('EEXIST')
    disk.rename(join(dir, 'a'), join(dir, 'd'))
    disk.setModified(join(dir, 'd'), 1_700_000_000_123)
    expect(disk.exists(join(dir, 'a'))).toBe(false)
    expect(disk.stat(join(dir, 'a'))).toBeUndefined()
    expect(disk.stat(join(dir, 'd/below'))).toBeUndefined()
    expect(disk.stat(join(dir, 'd'))).toMatchObject({ size: 3, isFile: true, isDirectory: false })
    expect(Math.round(disk.stat(join(dir, 'b'))?.mtimeMs ?? 0)).toBe(1_700_000_000_123)
  })

  test('a broken symbolic link exists and is one', () => {
    fs.symlinkSync(join(dir, 'nowhere'), join(dir, 'link'))
    expect(disk.exists(join(dir, 'link'))).toBe(true)
    expect(disk.stat(join(dir, 'link'))?.isSymbolicLink).toBe(true)
  })
})

describe('whole files', () => {
  test('readFile refuses a larger file than allowed', () => {
    fs.writeFileSync(join(dir, 'a'), 'abcd')
    expect(disk.readFile(join(dir, 'a'), 4).toString()).toBe('abcd')
    expect(failure(() => disk.readFile(join(dir, 'a'), 3)).message).toContain('it has 4 bytes')
  })

  test('replaceFile leaves the new bytes only, also over a stale .tmp', () => {
    fs.writeFileSync(join(dir, 'a'), 'a long old content')
    fs.writeFileSync(join(dir, 'a.tmp'), 'an even longer left-over of an earlier attempt')
    replaceFile(disk, join(dir, 'a'), Buffer.from('new'))
    expect(disk.list(dir)).toEqual(['a'])
    expect(fs.readFileSync(join(dir, 'a'), 'utf8')).toBe('new')
  })

  test('replaceFile goes through write, sync, rename and folder sync, in this order', () => {
    const steps: string[] = []
    const spied = {
      ...disk,
      open: (path: string, mode: 'create-new') => {
        const file = disk.open(path, mode)
        return {
          path,
          fd: file.fd,
          read: file.read.bind(file),
          writev: file.writev.bind(file),
          truncate: file.truncate.bind(file),
          size: file.size.bind(file),
          write: (bytes: Uint8Array, at: number) => (steps.push('write'), file.write(bytes, at)),
          sync: () => (steps.push('sync'), file.sync()),
          close: () => (steps.push('close'), file.close()),
        }
      },
      rename: (from: string, to: string) => (steps.push('rename'), disk.rename(from, to)),
      syncDirectory: (path: string) => (steps.push('sync folder'), disk.syncDirectory(path)),
    }
    replaceFile(spied, join(dir, 'a'), Buffer.from('new'))
    expect(steps).toEqual(['write', 'sync', 'close', 'rename', 'sync folder'])
  })
})
