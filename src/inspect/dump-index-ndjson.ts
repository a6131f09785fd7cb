import type { FileSystem } from '../storage/file-system.ts'
import { dumpEntries } from './dump-entries.ts'
import { entryFields } from './dump-format-ndjson.ts'
import type { IndexCheck, IndexProblem } from './dump-index-check.ts'
import type { SegmentIndex } from './dump-index-entries.ts'
import { problemsByEntry } from './dump-index-text.ts'

/**
 * A line of JSON for each entry in use: `file`, `index` (offset, time or txn), `entry` (its number), its fields, and after
 * a check `valid` and, where that is false, `problems`. A line without `entry` is about the file.
 */
export function* indexNdjson(
  fs: FileSystem,
  indexes: readonly SegmentIndex[],
  check: IndexCheck | undefined,
): Generator<string, void, void> {
  const problems = problemsByEntry(check)
  for (const { type, target, exists } of indexes) {
    if (!exists) continue
    const head = `{"file":${JSON.stringify(target.path)},"index":"${type}"`
    const ofFile = check?.problems.filter((each) => each.type === type && each.entry === undefined)
    if (ofFile !== undefined && ofFile.length > 0) yield `${head}${invalid(ofFile)}}\n`
    let n = 0
    for (const entry of dumpEntries(fs, target, { asKafka: false, allowOddBytes: true })) {
      const found = problems.get(`${type} ${n}`)
      const verdict =
        check === undefined ? '' : found === undefined ? ',"valid":true' : invalid(found)
      yield `${head},"entry":${n}${entryFields(entry)}${verdict}}\n`
      n++
    }
  }
}

function invalid(problems: readonly IndexProblem[]): string {
  const list = problems.map(({ code, message }) => JSON.stringify({ code, message }))
  return `,"valid":false,"problems":[${list.join(',')}]`
}
