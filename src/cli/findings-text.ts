import { formatBytes, formatCount, formatDuration } from './format.ts'
import { paint, type Style } from './color.ts'
import { wrap } from './wrap.ts'

/** A finding as far as it is printed. */
export interface PrintedFinding {
  readonly code: string
  readonly severity: 'error' | 'warning' | 'info'
  readonly file: string
  readonly position?: number
  readonly offset?: bigint
  readonly message: string
  readonly hint?: string
}

export interface PrintedVerification {
  readonly partitions: number
  readonly segments: number
  readonly bytes: number
  readonly batches: number
  readonly records: number
  readonly seconds: number
  readonly findings: readonly PrintedFinding[]
}

const STYLES: Readonly<Record<PrintedFinding['severity'], Style>> = {
  error: 'red',
  warning: 'yellow',
  info: 'cyan',
}

/** Findings grouped by file in the order they came, then what was looked at, then the verdict. */
export function findingsText(
  result: PrintedVerification,
  options: { readonly color?: boolean; readonly width?: number } = {},
): string {
  const { color = false, width = 80 } = options
  const byFile = new Map<string, PrintedFinding[]>()
  for (const finding of result.findings) {
    const group = byFile.get(finding.file)
    if (group === undefined) byFile.set(finding.file, [finding])
    else group.push(finding)
  }
  let text = ''
  for (const [file, findings] of byFile) text += `${fileText(file, findings, color, width)}\n`
  return `${text}${summaryLine(result, width)}\n${verdict(result.findings, color)}\n`
}

function fileText(
  file: string,
  findings: readonly PrintedFinding[],
  color: boolean,
  width: number,
): string {
  let text = `${paint('bold', file, color)}\n`
  const hinted = new Set<string>()
  for (const { severity, code, position, offset, message, hint } of findings) {
    const place = [
      position === undefined ? undefined : `byte ${position}`,
      offset === undefined ? undefined : `offset ${offset}`,
    ].filter((part) => part !== undefined)
    text += `  ${paint(STYLES[severity], severity, color)} ${code}`
    text += place.length === 0 ? '\n' : ` at ${place.join(', ')}\n`
    text += indent(wrap(message, width - 4))
    if (hint !== undefined && !hinted.has(hint)) text += indent(wrap(`Hint: ${hint}`, width - 4))
    if (hint !== undefined) hinted.add(hint)
  }
  return text
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${line}\n`)
    .join('')
}

function summaryLine(result: PrintedVerification, width: number): string {
  const parts = [
    count(result.partitions, 'partition'),
    count(result.segments, 'segment'),
    count(result.batches, 'batch', 'batches'),
    count(result.records, 'record'),
    formatBytes(result.bytes),
  ]
  return wrap(`${parts.join(', ')} in ${formatDuration(result.seconds * 1000)}`, width)
}

function verdict(findings: readonly PrintedFinding[], color: boolean): string {
  const of = (severity: PrintedFinding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length
  const [errors, warnings, notes] = [of('error'), of('warning'), of('info')]
  const counts = [
    errors > 0 ? count(errors, 'error') : undefined,
    warnings > 0 ? count(warnings, 'warning') : undefined,
    notes > 0 ? count(notes, 'note') : undefined,
  ].filter((part) => part !== undefined)
  const behind = counts.length === 0 ? '' : ` (${counts.join(', ')})`
  if (errors > 0) return `${paint('red', 'Damaged', color)}${behind}`
  if (warnings > 0) return `${paint('yellow', 'Needs recovery', color)}${behind}`
  return `${paint('green', 'Sound', color)}${behind}`
}

function count(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`
}
