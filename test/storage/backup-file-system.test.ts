import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StorageIoError } from '../../src/errors.ts'
import { backupFolderIn, BackupFileSystem } from '../../src/storage/backup-file-system.ts'
import { diskFileSystem, storageIoError, type FileSystem } from '../../src/storage/file-system.ts'
import { OverlayFileSystem } from '../../src/storage/overlay-file-system.ts'
import { folderBytes, restored } from '../support/mended-folder.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const LOG = '00000000000000000000.log'
const INDEX = '00000000000000000000.index'

function partition(): string {
  const dir = temporaryFolder()
  writeFileSync(join(dir, LOG), 'abcdefghij'.repeat(10_000))
  writeFileSync(join(dir, INDEX), '0123456789')
  writeFileSync(join(dir, 'leader-epoch-checkpoint'), '0\n0\n')
  return dir
}

function keeping(dir: string, below: FileSystem = diskFileSystem): BackupFileSystem {
  return new BackupFileSystem(below, {
    partitionDir: dir,
    backupDir: join(dir, 'kafkats-cut-now'),
    command: 'test',
    now: 1767225600000n,
  })
}

function cut(fs: FileSystem, path: string, length: number): void {
  const file = fs.open(path, 'read-write')
  file.truncate(length)
  file.close()
}

function overwrite(fs: FileSystem, path: string, text: string, position: number): void {
  const file = fs.open(path, 'read-write')
  file.write(Buffer.from(text), position)
  file.close()
}

describe('what is taken away without notice is kept the moment before', () => {
  it.each<[string, (fs: FileSystem, dir: string) => void]>([
    ['a cut', (fs, dir) => cut(fs, join(dir, LOG), 33)],
    [
      'a cut, then a deeper one',
      (fs, dir) => {
        cut(fs, join(dir, LOG), 90_000)
        cut(fs, join(dir, LOG), 5)
      },
    ],
    ['an overwriting', (fs, dir) => overwrite(fs, join(dir, INDEX), 'xyz', 4)],
    [
      'a removal behind a renaming',
      (fs, dir) => {
        fs.rename(join(dir, LOG), join(dir, `${LOG}.deleted`))
        fs.remove(join(dir, `${LOG}.deleted`))
      },
    ],
    [
      'a cut, then a removal',
      (fs, dir) => {
        cut(fs, join(dir, LOG), 10)
        fs.remove(join(dir, LOG))
      },
    ],
    [
      'a replacing',
      (fs, dir) => {
        fs.open(join(dir, 'new.tmp'), 'create').close()
        fs.rename(join(dir, 'new.tmp'), join(dir, 'leader-epoch-checkpoint'))
      },
    ],
  ])('%s', (_what, change) => {
    const dir = partition()
    const before = folderBytes(dir)
    const fs = keeping(dir)
    change(fs, dir)
    expect(folderBytes(dir)).not.toEqual(before)
    const backup = fs.finish()
    expect(backup).toBe(join(dir, 'kafkats-cut-now'))
    expect(restored(dir, backup ?? '')).toEqual(before)
  })

  it('lets go what is written again as it was, and what was new', () => {
    const dir = partition()
    const fs = keeping(dir)
    cut(fs, join(dir, INDEX), 0)
    overwrite(fs, join(dir, INDEX), '0123456789', 0)
    fs.open(join(dir, 'scratch'), 'create').close()
    overwrite(fs, join(dir, 'scratch'), 'abc', 0)
    fs.remove(join(dir, 'scratch'))
    overwrite(fs, join(dir, LOG), 'more', 100_000)
    expect(fs.finish()).toBeUndefined()
    expect(readdirSync(dir)).not.toContain('kafkats-cut-now')
  })
})

describe('what is known beforehand', () => {
  function plan(change: (fs: FileSystem) => void): OverlayFileSystem {
    const overlay = new OverlayFileSystem(diskFileSystem)
    change(overlay)
    return overlay
  }

  it('takes no room for a removed file, and the tail alone of a cut log', () => {
    const dir = partition()
    const before = folderBytes(dir)
    const change = (fs: FileSystem): void => {
      cut(fs, join(dir, LOG), 99_990)
      fs.remove(join(dir, INDEX))
    }
    const fs = keeping(dir)
    const inode = statSync(join(dir, INDEX)).ino
    fs.keepAhead(plan(change).changes(), () => 'because')
    const backup = join(dir, 'kafkats-cut-now')
    expect(statSync(join(backup, INDEX)).ino).toBe(inode)
    expect(readFileSync(join(backup, `${LOG}.from-99990`), 'utf8')).toBe('abcdefghij')
    change(fs)
    expect(fs.finish()).toBe(backup)
    expect(restored(dir, backup)).toEqual(before)
    expect(JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8'))).toEqual({
      version: 1,
      command: 'test',
      partition: dir,
      time: '2026-01-01T00:00:00.000Z',
      files: [
        { file: INDEX, sizeBefore: 10, from: 0, bytes: 10, why: 'because', kept: INDEX },
        {
          file: LOG,
          sizeBefore: 100_000,
          from: 99_990,
          bytes: 10,
          why: 'because',
          kept: `${LOG}.from-99990`,
        },
      ],
    })
  })

  it('is copied where the file is cut before it goes: a link would be cut with it', () => {
    const dir = partition()
    const before = folderBytes(dir)
    const change = (fs: FileSystem): void => {
      cut(fs, join(dir, LOG), 10)
      fs.remove(join(dir, LOG))
    }
    const fs = keeping(dir)
    fs.keepAhead(plan(change).changes(), () => 'because')
    change(fs)
    expect(restored(dir, fs.finish() ?? '')).toEqual(before)
  })

  it('is not kept where it is zeros, but the manifest says so', () => {
    const dir = partition()
    writeFileSync(join(dir, LOG), Buffer.alloc(5000))
    const before = folderBytes(dir)
    const change = (fs: FileSystem): void => cut(fs, join(dir, LOG), 100)
    const fs = keeping(dir)
    fs.keepAhead(plan(change).changes(), () => 'because')
    change(fs)
    const backup = fs.finish() ?? ''
    expect(readdirSync(backup)).toEqual(['manifest.json'])
    expect(restored(dir, backup)).toEqual(before)
  })

  it('stops before any change where there is no room, and leaves nothing behind', () => {
    const dir = partition()
    const before = folderBytes(dir)
    const full: FileSystem = {
      ...diskFileSystem,
      open(path, mode) {
        const file = diskFileSystem.open(path, mode)
        if (mode !== 'create-new') return file
        return Object.assign(Object.create(file) as typeof file, {
          write: () => {
            throw storageIoError('write to', path, Object.assign(new Error(), { code: 'ENOSPC' }))
          },
          sync: () => {
            file.sync()
          },
          close: () => {
            file.close()
          },
        })
      },
    }
    const change = (fs: FileSystem): void => {
      fs.remove(join(dir, INDEX))
      cut(fs, join(dir, LOG), 10)
    }
    const fs = keeping(dir, full)
    expect(() => {
      fs.keepAhead(plan(change).changes(), () => 'because')
    }).toThrow(StorageIoError)
    expect(folderBytes(dir)).toEqual(before)
    expect(existsSync(join(dir, 'kafkats-cut-now'))).toBe(false)
  })
})

it('finds a name for the folder that is free', () => {
  const dir = temporaryFolder()
  const first = backupFolderIn(diskFileSystem, dir, 1767225600123n)
  expect(first).toBe(join(dir, 'kafkats-cut-20260101T000000Z'))
  diskFileSystem.makeDirectory(first)
  expect(backupFolderIn(diskFileSystem, dir, 1767225600123n)).toBe(`${first}-2`)
})
