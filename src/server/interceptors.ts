import { setTimeout as sleep } from 'node:timers/promises'
import { InvalidArgumentError } from '../errors.ts'
import { APIS, type ApiName } from '../protocol/api-keys.ts'
import { ERROR_CODES, type ErrorName } from '../protocol/error-codes.ts'
import { readRequestStart } from '../protocol/frame.ts'
import type { ApiHandler } from './api-handler.ts'
import type { Answer } from './connection.ts'
import { FAILED_ANSWERS, isFailable, type FailableApi, type RequestOf } from './failed-answers.ts'
import type { RequestContext } from './request-context.ts'

/** A request as an interceptor sees it, before anything is done. */
export interface InterceptedRequest<A extends ApiName = ApiName> {
  readonly api: A
  readonly apiVersion: number
  readonly clientId: string | null
  /** Of the connection; connections are numbered from 1. */
  readonly connectionId: number
  /** `ANONYMOUS` where nobody had to say who they are. */
  readonly user: string
  /** The request's fields by Kafka's names. Records in it are good until the interceptor has answered. */
  readonly body: A extends FailableApi ? RequestOf<A> : unknown
}

/** What becomes of a request. */
export type Intervention<A extends ApiName = ApiName> =
  /** It is served. */
  | 'pass'
  /** The connection ends, and nothing was done. */
  | 'close'
  /** It is served, and the connection ends before the client learns of it. */
  | 'close-after'
  /** The same some time later; `then` is `pass` unless given. */
  | { readonly delayMs: number; readonly then?: Intervention<A> }
  /** It is answered with an error, for every topic, partition or group that it names, and nothing was done. */
  | (A extends FailableApi ? { readonly error: ErrorName } : never)

export type Interceptor<A extends ApiName = ApiName> = (
  request: InterceptedRequest<A>,
) => Intervention<A> | Promise<Intervention<A>>

/** An interceptor that is in force. */
export interface Interception {
  /** Requests that it has seen. */
  readonly calls: number
  remove(): void
  [Symbol.dispose](): void
}

/** An interceptor that fails the next `times` requests and lets the others pass. */
export function failNext<A extends FailableApi>(times: number, error: ErrorName): Interceptor<A> {
  let left = times
  return () => (left-- > 0 ? { error } : 'pass') as Intervention<A>
}

interface Entry {
  readonly fn: Interceptor
  calls: number
}

/**
 * What tests put between a request and its handler. The newest interceptor of an api is asked first; the next only where
 * it lets the request pass.
 */
export class Interceptors {
  readonly #entries = new Map<number, Entry[]>()
  readonly #stopped = new AbortController()

  /** @throws InvalidArgumentError for a name that is no api's */
  add<A extends ApiName>(api: A, fn: Interceptor<A>): Interception {
    const known = (APIS as Readonly<Record<string, (typeof APIS)[ApiName]>>)[api]
    if (known === undefined) throw new InvalidArgumentError(`Kafka has no api ${api}`)
    const entry: Entry = { fn: fn as unknown as Interceptor, calls: 0 }
    this.#entries.set(known.key, [entry, ...(this.#entries.get(known.key) ?? [])])
    const remove = (): void => {
      const others = (this.#entries.get(known.key) ?? []).filter((each) => each !== entry)
      if (others.length === 0) this.#entries.delete(known.key)
      else this.#entries.set(known.key, others)
    }
    return {
      get calls() {
        return entry.calls
      },
      remove,
      [Symbol.dispose]: remove,
    }
  }

  /** Whether anybody wants to see requests of this api. */
  concern(apiKey: number): boolean {
    return this.#entries.has(apiKey)
  }

  /** Ends all delays: what they hold up is closed. */
  stop(): void {
    this.#stopped.abort()
  }

  async handle(
    request: {
      readonly frame: Buffer
      readonly context: RequestContext
      readonly correlationId: number
    },
    handler: ApiHandler,
  ): Promise<Answer> {
    const { frame, context, correlationId } = request
    const serve = (): Answer | Promise<Answer> =>
      handler.handle(readRequestStart(frame).reader, context, correlationId)
    const seen: InterceptedRequest = {
      api: context.api.name as ApiName,
      apiVersion: context.apiVersion,
      clientId: context.clientId,
      connectionId: context.connection.id,
      user: context.session.principal,
      body: handler.read(readRequestStart(frame).reader, context.apiVersion),
    }
    for (const entry of this.#entries.get(context.api.key) ?? []) {
      entry.calls++
      let intervention = await this.#unlessStopped(entry.fn(seen))
      while (typeof intervention === 'object' && 'delayMs' in intervention) {
        const { delayMs, then = 'pass' } = intervention
        intervention = await this.#unlessStopped(
          sleep(delayMs, then, {
            signal: AbortSignal.any([this.#stopped.signal, context.connection.signal]),
          }).catch((): Intervention => 'close'),
        )
      }
      if (intervention === 'pass') continue
      if (intervention === 'close') return 'close'
      if (intervention === 'close-after') {
        const answer = await serve()
        if (typeof answer === 'object') answer.release?.()
        return 'close'
      }
      const { name } = context.api
      if (!isFailable(name)) {
        throw new InvalidArgumentError(
          `an interceptor answers ${name} with ${intervention.error}, but kafkats cannot make that answer`,
          { hint: `it can for ${Object.keys(FAILED_ANSWERS).join(', ')}; others can be closed` },
        )
      }
      return FAILED_ANSWERS[name].answer(
        readRequestStart(frame).reader,
        context,
        correlationId,
        ERROR_CODES[intervention.error],
      )
    }
    return serve()
  }

  /** A broker that stops does not wait for a test that never answers. */
  #unlessStopped(
    intervention: Intervention | Promise<Intervention>,
  ): Intervention | Promise<Intervention> {
    if (!(intervention instanceof Promise)) return intervention
    const { signal } = this.#stopped
    if (signal.aborted) return 'close'
    return new Promise((resolve, reject) => {
      const close = (): void => resolve('close')
      signal.addEventListener('abort', close, { once: true })
      intervention.then(resolve, reject).finally(() => signal.removeEventListener('abort', close))
    })
  }
}
