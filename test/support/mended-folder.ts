import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { BackupManifest } from '../../src/storage/backup-file-system.ts'

/** Every file of a folder with its bytes as hexadecimal digits; folders in it are left out. */
export function folderBytes(dir: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(dir)
      .sort()
      .filter((name) => statSync(join(dir, name)).isFile())
      .map((name) => [name, readFileSync(join(dir, name)).toString('hex')]),
  )
}

/** What a folder was before, from what it is now and a backup, by the rule of the manifest. */
export function restored(dir: string, backup: string): Record<string, string> {
  const files = new Map(Object.entries(folderBytes(dir)))
  const manifest = JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8')) as BackupManifest
  const began = new Set<string>()
  for (const { file, sizeBefore, from, bytes, kept } of manifest.files) {
    if (sizeBefore === null) {
      files.delete(file)
      continue
    }
    const there = files.get(file) ?? ''
    const start = began.has(file) ? there : there.slice(0, 2 * from)
    began.add(file)
    const piece =
      kept === null ? '00'.repeat(bytes) : readFileSync(join(backup, kept)).toString('hex')
    files.set(file, start + piece)
  }
  return Object.fromEntries([...files].sort())
}
