import { fillPage, markdown, reached, spread, text, type Cells } from '../peers/tables.ts'
import { threeDigits } from '../peers/statistics.ts'
import { compareServe, FIGURES, type ServeResults, type Target } from './results.ts'

function targetOf(target: Target | undefined): string {
  if (target === undefined) return '–'
  if ('atLeast' in target) return `at least ${target.atLeast} ×`
  return 'atMost' in target ? `at most ${target.atMost} ×` : `below ${target.below} ×`
}

function comparisons(results: ServeResults): Cells {
  return {
    head: ['what', 'kafkats serve', 'Kafka', 'ratio', 'target', 'reached'],
    texts: 1,
    rows: compareServe(results).map(({ name, kafkats, kafka, ratio, target, isReached }) => [
      FIGURES[name].what,
      spread(kafkats, FIGURES[name].unit),
      spread(kafka, FIGURES[name].unit),
      `${threeDigits(ratio)} ×`,
      targetOf(target),
      reached(isReached),
    ]),
  }
}

/** Machine, date and command line of what was recorded. */
function origin(results: ServeResults): string {
  const { command, machine, takenAt, loadAverage, records, recordBytes, halfLoad } = results
  const memoryGib = Math.round(machine.memoryBytes / 2 ** 30)
  const count = (value: number): string => value.toLocaleString('en-US')
  return [
    `Command: \`${command}\`, on ${takenAt.slice(0, 10)}, ${Math.round(results.seconds / 60)} minutes; load average ${threeDigits(loadAverage[0])} before the first run, ${threeDigits(loadAverage[1])} after the last.`,
    `Machine: ${machine.cores} cores (${machine.processor}), ${memoryGib} GiB, ${machine.kernel}, ${machine.fileSystem}; Node ${machine.node}, ${machine.java}, Kafka ${machine.kafka}.`,
    `${count(records)} records of ${count(recordBytes)} bytes a run; half load is ${count(halfLoad['1'])} records a second with acks 1 and ${count(halfLoad.all)} with acks all; starts with data open ${threeDigits(results.dataBytes / 2 ** 30)} GiB.`,
  ].join('\n')
}

/** What is printed at the end of a run. */
export function renderServeText(results: ServeResults, width: number): string {
  return `${text(comparisons(results), width)}\n\n${origin(results)}`
}

/** A page with what stands between `<!-- bench:serve NAME -->` and `<!-- /bench:serve -->` made anew. */
export function renderServePage(page: string, results: ServeResults): Promise<string> {
  return fillPage(page, 'bench:serve', {
    origin: origin(results),
    table: markdown(comparisons(results)),
  })
}
