import { BaseCommand, EXIT, type ExitStatus } from './base-command.ts'
import { errorToJson, type ErrorJson } from './errors.ts'

/** What came of one partition of several. */
export type PartitionOutcome<R> =
  | { readonly partition: string; readonly result: R }
  | { readonly partition: string; readonly error: ErrorJson }

/** In a list of results: a partition that could not be read. */
export interface PartitionError {
  readonly partition: string
  readonly error: ErrorJson
}

/** A command that looks at one partition or several. */
export abstract class PartitionsCommand<R, Named> extends BaseCommand<
  R | readonly (Named | PartitionError)[]
> {
  #worst: ExitStatus = EXIT.ok

  /** Asks each partition in turn. Where there are several, an error of one does not keep the others from being told. */
  protected async outcomes<P extends { readonly name: string }>(
    partitions: readonly P[],
    ask: (partition: P) => R | Promise<R>,
  ): Promise<PartitionOutcome<R>[]> {
    const outcomes: PartitionOutcome<R>[] = []
    for (const partition of partitions) {
      const { name } = partition
      try {
        outcomes.push({ partition: name, result: await ask(partition) })
      } catch (error) {
        if (partitions.length === 1) throw error
        if (!this.jsonEnabled()) this.reportError(error)
        this.#worst = Math.max(this.#worst, this.exitStatusOf(error)) as ExitStatus
        this.setExitStatus(this.#worst)
        outcomes.push({ partition: name, error: errorToJson(error) })
      }
    }
    return outcomes
  }

  /** What `run()` returns: the result of one partition as it is, of several a list with their names. */
  protected resultOf(
    outcomes: readonly PartitionOutcome<R>[],
    named: (partition: string, result: R) => Named,
  ): R | readonly (Named | PartitionError)[] {
    const [only] = outcomes
    if (outcomes.length === 1 && only !== undefined && 'result' in only) return only.result
    return outcomes.map((outcome) =>
      'error' in outcome ? outcome : named(outcome.partition, outcome.result),
    )
  }

  /** A text for each partition; several are told apart by their names. */
  protected printEach(outcomes: readonly PartitionOutcome<R>[], text: (result: R) => string): void {
    const parts = outcomes.flatMap((outcome) => {
      if ('error' in outcome) return []
      const body = text(outcome.result)
      return [outcomes.length > 1 ? `==> ${outcome.partition} <==\n${body}` : body]
    })
    if (parts.length > 0) this.print(parts.join('\n'))
  }
}
