import { basename } from 'node:path'
import type { ChangedFile, MendFinding, MendResult } from './mend-result.ts'
import type { SalvageResult } from './mend-salvage.ts'

const CHANGES: Readonly<Record<ChangedFile['change'], string>> = {
  created: 'new',
  removed: 'removed',
  cut: 'cut',
  grown: 'grown',
  rewritten: 'rewritten',
}

/** The result of a command that mends as people read it. */
export function mendText(result: MendResult): string {
  const { filesChanged, findings, dryRun } = result
  const lines = [headLine(result)]
  if (findings.length > 0) lines.push('', ...findings.map(findingLine))
  if (filesChanged.length > 0) {
    lines.push('', dryRun === true ? 'Files that would change:' : 'Files changed:')
    lines.push(...fileLines(filesChanged))
  }
  const closing = closingLine(result)
  if (closing !== undefined) lines.push('', closing)
  return `${lines.join('\n')}\n`
}

function headLine(result: MendResult): string {
  const { partition, logStartOffset, logEndOffset, logEndOffsetBefore, segments } = result
  const was = logEndOffset === logEndOffsetBefore ? '' : ` (was ${logEndOffsetBefore})`
  return `${partition}: offsets ${logStartOffset} to ${logEndOffset}${was}, ${segments} ${segments === 1 ? 'segment' : 'segments'}`
}

function findingLine({ file, bytes, message }: MendFinding): string {
  const size = bytes === undefined || bytes === 0 ? '' : ` (${bytes} bytes)`
  return `  ${basename(file)}: ${message}${size}`
}

function fileLines(files: readonly ChangedFile[]): string[] {
  const names = files.map(({ file }) => basename(file))
  const width = Math.max(...names.map((name) => name.length))
  return files.map(({ change, sizeBefore, sizeAfter }, i) => {
    const name = (names[i] ?? '').padEnd(width)
    const sizes = [sizeBefore, sizeAfter].filter((size) => size !== null)
    const same = sizes.length === 2 && sizes[0] === sizes[1]
    return `  ${name}  ${CHANGES[change].padEnd(9)}  ${(same ? sizes.slice(1) : sizes).join(' -> ')} bytes`
  })
}

function closingLine({
  filesChanged,
  backup,
  dryRun,
  bytesRemoved,
}: MendResult): string | undefined {
  if (filesChanged.length === 0)
    return dryRun === true ? 'Nothing would change.' : 'Nothing had to change.'
  if (dryRun === true) {
    return bytesRemoved === 0
      ? 'Nothing was touched.'
      : `Nothing was touched. ${bytesRemoved} bytes of the log would be taken away.`
  }
  return backup === null ? undefined : `What was taken away is kept in ${backup}`
}

/** What was copied and what is missing, as people read it. */
export function salvageText(result: SalvageResult): string {
  const { salvaged, batches, bytes, lostBytes, missingOffsets, dryRun } = result
  const lines = [
    `${salvaged}: offsets ${result.logStartOffset} to ${result.logEndOffset}, ${batches} batches, ${bytes} bytes`,
  ]
  if (lostBytes.length > 0) {
    lines.push('', dryRun === true ? 'Not to be copied:' : 'Not copied:')
    for (const { file, position, bytes: size, reason } of lostBytes) {
      lines.push(`  ${basename(file)}, byte ${position}, ${size} bytes: ${reason}`)
    }
  }
  if (missingOffsets.length > 0) {
    lines.push('', 'Offsets that are missing:')
    for (const { first, last } of missingOffsets) {
      lines.push(last === null ? `  ${first} and above` : `  ${first} to ${last}`)
    }
  }
  if (lostBytes.length === 0) lines.push('', 'Nothing is missing.')
  return `${lines.join('\n')}\n`
}
