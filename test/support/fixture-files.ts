import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { FIXTURES } from './fixtures.ts'

/** Paths below `fixtures/`, sorted, whose path matches. */
export function fixtureFiles(pattern: RegExp): string[] {
  return readdirSync(FIXTURES, { recursive: true, encoding: 'utf8' })
    .filter((path) => pattern.test(path))
    .sort()
}

/** What kafka-dump-log.sh printed, a list of lines for each file, by path below `fixtures/`. */
export function dumpSections(): Map<string, string[]> {
  const sections = new Map<string, string[]>()
  for (const path of fixtureFiles(/^expected\/.*\.dump\.txt\.gz$/)) {
    let lines: string[] = []
    for (const line of gunzipSync(readFileSync(join(FIXTURES, path)))
      .toString()
      .split('\n')) {
      const file = /^==> (.*)$/.exec(line)?.[1]
      if (file !== undefined) sections.set(file, (lines = []))
      else if (line !== '' && !line.startsWith('Dumping ')) lines.push(line)
    }
  }
  return sections
}
