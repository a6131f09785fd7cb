import { format } from 'prettier'
import { renderTable } from '../../src/cli/table.ts'
import { distancesOf } from './distances.ts'
import { compareAll, memoryRows, type Comparison } from './rows.ts'
import { figureOf, UNITS, type Figure, type GroupResult, type Results } from './results.ts'
import { median, spreadOf, threeDigits, type Spread } from './statistics.ts'

/** Columns, then lines of cells. */
export interface Cells {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** How many columns at the beginning are text, to the left. */
  readonly texts: number
}

export function spread({ median, lowest, highest }: Spread, unit: string): string {
  return `${threeDigits(median)} [${threeDigits(lowest)} to ${threeDigits(highest)}] ${unit}`
}

export function reached(isReached: boolean | undefined): string {
  return isReached === undefined ? '–' : isReached ? 'yes' : 'no'
}

/** `at least 5 ×`, `at most 30 ms`. */
function targetOf({ row, unit }: Comparison): string {
  const { target, compare } = row
  if (target === undefined) return '–'
  const times = compare === 'difference' || compare === 'itself' ? ` ${unit}` : ' ×'
  return 'atLeast' in target
    ? `at least ${target.atLeast}${times}`
    : `at most ${target.atMost}${times}`
}

function ratioOf({ row, ratio, unit }: Comparison): string {
  const isPlain = row.compare === 'difference' || row.compare === 'itself'
  return `${threeDigits(ratio)} ${isPlain ? unit : '×'}`
}

function comparisons(results: Results): Cells {
  return {
    head: ['row', 'work', 'against', 'kafkats', 'peer', 'ratio', 'of CPU', 'target', 'reached'],
    texts: 3,
    rows: compareAll(results).map((each) => [
      each.row.id,
      each.row.work,
      each.row.against,
      spread(each.kafkats, each.unit),
      each.peer === undefined ? '–' : spread(each.peer, each.unit),
      ratioOf(each),
      each.cpuRatio === undefined ? '–' : `${threeDigits(each.cpuRatio)} ×`,
      targetOf(each),
      reached(each.isReached),
    ]),
  }
}

function memory(results: Results): Cells {
  const { bytes, bigBytes } = results.data
  return {
    head: ['work', `${gib(bytes)}: MB`, `${gib(bigBytes)}: MB`, 'below 200 MB and the same'],
    texts: 1,
    rows: memoryRows(results).map(({ what, megabytes, bigMegabytes, isReached }) => [
      what,
      threeDigits(megabytes),
      bigMegabytes === undefined ? '–' : threeDigits(bigMegabytes),
      reached(isReached),
    ]),
  }
}

function gib(bytes: number): string {
  return bytes === 0 ? 'more' : `${threeDigits(bytes / 2 ** 30)} GiB`
}

function limits(results: Results): Cells {
  const group = results.groups['limits']
  const loopback = results.groups['stream-drop']
  const of = (from: GroupResult | undefined, prefix: string, note = ''): string[][] =>
    Object.entries(from?.cases ?? {})
      .filter(([name]) => name.startsWith(prefix))
      .map(([, { what, samples }]) => [
        `${what}${note}`,
        spread(spreadOf(samples.map((sample) => figureOf(sample, 'rate'))), UNITS.rate),
        threeDigits(median(samples.map((sample) => figureOf(sample, 'cpu')))),
      ])
  return {
    head: ['limit', 'rate', UNITS.cpu],
    texts: 1,
    rows: [...of(group, ''), ...of(loopback, 'c-', ' to a loopback socket, reader discards')],
  }
}

function distances(results: Results): Cells {
  return {
    head: ['path', 'MiB/s', 'limit', 'MiB/s', 'share'],
    texts: 1,
    rows: distancesOf(results).map(({ what, limit, rate, limitRate }) => [
      what,
      threeDigits(rate),
      limit,
      threeDigits(limitRate),
      `${Math.round((rate / limitRate) * 100)} %`,
    ]),
  }
}

/** Every case with all it took, for who wants to look closer. */
function everything(results: Results): Cells {
  const rows = Object.entries(results.groups).flatMap(([group, { cases }]) =>
    Object.values(cases).map(({ what, samples }) => {
      const figure = (name: Figure): string =>
        samples.some((sample) => figureOf(sample, name) > 0)
          ? threeDigits(median(samples.map((sample) => figureOf(sample, name))))
          : '–'
      const hasBytes = samples.some(({ bytes }) => bytes > 0)
      return [
        group,
        what,
        String(samples.length),
        figure('time'),
        hasBytes ? figure('rate') : '–',
        hasBytes ? figure('cpu') : '–',
        figure('memory'),
      ]
    }),
  )
  const units = (['time', 'rate', 'cpu', 'memory'] as const).map((name) => UNITS[name])
  return { head: ['group', 'what', 'runs', ...units], texts: 2, rows }
}

export function text({ head, rows, texts }: Cells, width: number): string {
  const align = head.map((_, column) => (column < texts ? 'left' : 'right'))
  const plain = rows.map((row) => row.map((cell) => cell.replaceAll('`', '')))
  return renderTable({ head, rows: plain, align, width })
}

export function markdown({ head, rows, texts }: Cells): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  const rule = head.map((_, column) => (column < texts ? '---' : '---:'))
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

/** What is printed at the end of a run. */
export function renderText(results: Results, width: number): string {
  const parts = [text(comparisons(results), width)]
  if (results.groups['memory'] !== undefined) parts.push(text(memory(results), width))
  if (results.groups['limits'] !== undefined) parts.push(text(limits(results), width))
  return parts.join('\n\n')
}

/** Machine, date and command line of what was recorded. */
function origin({ command, machine, groups }: Results): string {
  const days = [...new Set(Object.values(groups).map(({ takenAt }) => takenAt.slice(0, 10)))].sort()
  const loads = Object.values(groups).flatMap(({ loadAverage }) => loadAverage)
  const memoryGib = Math.round(machine.memoryBytes / 2 ** 30)
  return [
    `Command: \`${command}\`, on ${days.join(' and ')}; load average ${threeDigits(Math.min(...loads))} to ${threeDigits(Math.max(...loads))}.`,
    `Machine: ${machine.cores} cores (${machine.processor}), ${memoryGib} GiB, ${machine.kernel}, ${machine.fileSystem}; Node ${machine.node}, ${machine.java}, ${machine.compiler}, Kafka ${machine.kafka}.`,
  ].join('\n')
}

/** What stands between the marks of a page, by the name of the mark. */
export function sectionsOf(results: Results): Readonly<Record<string, string>> {
  return {
    origin: origin(results),
    table: markdown(comparisons(results)),
    memory: markdown(memory(results)),
    limits: markdown(limits(results)),
    distances: markdown(distances(results)),
    everything: markdown(everything(results)),
  }
}

/** {@link fillPage} with what `bench:peers` has measured. */
export function renderPage(page: string, results: Results): Promise<string> {
  return fillPage(page, 'bench:peers', sectionsOf(results))
}

/**
 * A page with what stands between `<!-- MARK NAME -->` and `<!-- /MARK -->` made anew, formatted as Prettier wants it.
 * Throws for a name that there is not, and for a page without any mark.
 */
export async function fillPage(
  page: string,
  mark: string,
  sections: Readonly<Record<string, string>>,
): Promise<string> {
  let count = 0
  const filled = page.replace(
    new RegExp(`(<!-- ${mark} (\\w+) -->\\n)[\\s\\S]*?(<!-- /${mark} -->)`, 'g'),
    (_, begin: string, name: string, end: string) => {
      const section = sections[name]
      if (section === undefined) throw new Error(`there is no section "${name}"`)
      count++
      return `${begin}\n${section}\n\n${end}`
    },
  )
  if (count === 0) throw new Error('the page has no marks')
  return format(filled, { parser: 'markdown', printWidth: 100, semi: false, singleQuote: true })
}
