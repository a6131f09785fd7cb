import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What kafka-run-class.sh gives to the tools. */
const TOOL_OPTIONS = ['-Xmx512M', '-server', '-XX:+UseG1GC', '-XX:MaxGCPauseMillis=20']
const QUIET = '-Dorg.slf4j.simpleLogger.defaultLogLevel=error'
const OUTPUT_BYTES = 16 * 1024 * 1024

/** What kafka-producer-perf-test says at its end. */
export interface ProducerFigures {
  readonly records: number
  /** Of 2^20 bytes, as the tool counts them. */
  readonly megabytesPerSecond: number
  readonly medianMs: number
  readonly p99Ms: number
}

/** What kafka-consumer-perf-test says. */
export interface ConsumerFigures {
  readonly records: number
  /** Of 2^20 bytes, from the first assignment on: how long a group waits for its members is no throughput. */
  readonly megabytesPerSecond: number
}

const SUMMARY =
  /^(\d+) records sent, [\d.]+ records\/sec \(([\d.]+) MB\/sec\), .* (\d+) ms 50th, \d+ ms 95th, (\d+) ms 99th, \d+ ms 99\.9th\.$/gm

/** The last summary of the output: the lines before it are those of intervals, or of the run that warmed up. */
export function parseProducer(output: string): ProducerFigures {
  const found = [...output.matchAll(SUMMARY)].at(-1)
  if (found === undefined) throw new Error(`no summary of a producer in:\n${output}`)
  const [, records, rate, median, p99] = found
  return {
    records: Number(records),
    megabytesPerSecond: Number(rate),
    medianMs: Number(median),
    p99Ms: Number(p99),
  }
}

/** By the names of its columns. */
export function parseConsumer(output: string): ConsumerFigures {
  const lines = output.split('\n').map((line) => line.trim())
  const at = lines.findIndex((line) => line.startsWith('start.time'))
  const names = lines[at]?.split(',').map((name) => name.trim()) ?? []
  const cells = lines[at + 1]?.split(',').map((cell) => cell.trim()) ?? []
  const cell = (name: string): number => {
    const value = Number(cells[names.indexOf(name)] ?? Number.NaN)
    if (Number.isNaN(value)) throw new Error(`no ${name} of a consumer in:\n${output}`)
    return value
  }
  return { records: cell('data.consumed.in.nMsg'), megabytesPerSecond: cell('fetch.MB.sec') }
}

export interface ProducerRun {
  readonly topic: string
  readonly records: number
  readonly recordBytes: number
  readonly acks: '1' | 'all'
  /** Records a second; as fast as it goes unless given. */
  readonly throughput?: number | undefined
}

/** Kafka's own tools, each in a JVM of its own. */
export class KafkaTools {
  readonly classPath: string

  constructor(classPath: string) {
    this.classPath = classPath
  }

  async produce(bootstrap: string, run: ProducerRun): Promise<ProducerFigures> {
    return parseProducer(
      await this.#run('org.apache.kafka.tools.ProducerPerformance', producerArgs(bootstrap, run)),
    )
  }

  /** After a run in the same JVM that warms it up. */
  async produceWarm(
    bootstrap: string,
    warmUp: ProducerRun,
    run: ProducerRun,
  ): Promise<ProducerFigures> {
    const args = [...producerArgs(bootstrap, warmUp), '--then', ...producerArgs(bootstrap, run)]
    return parseProducer(await this.#run('WarmProducer', args))
  }

  async consume(bootstrap: string, topic: string, records: number): Promise<ConsumerFigures> {
    const figures = parseConsumer(
      await this.#run('org.apache.kafka.tools.ConsumerPerformance', [
        ...['--bootstrap-server', bootstrap, '--topic', topic],
        ...['--messages', String(records), '--timeout', '60000'],
      ]),
    )
    if (figures.records < records) throw new Error(`${figures.records} of ${records} came`)
    return figures
  }

  async #run(name: string, args: readonly string[]): Promise<string> {
    const java = [...TOOL_OPTIONS, QUIET, '-cp', this.classPath, name, ...args]
    const { stdout } = await promisify(execFile)('java', java, { maxBuffer: OUTPUT_BYTES })
    return stdout
  }
}

function producerArgs(bootstrap: string, run: ProducerRun): string[] {
  return [
    ...['--topic', run.topic, '--num-records', String(run.records)],
    ...['--record-size', String(run.recordBytes), '--throughput', String(run.throughput ?? -1)],
    ...['--producer-props', `bootstrap.servers=${bootstrap}`, `acks=${run.acks}`],
  ]
}
