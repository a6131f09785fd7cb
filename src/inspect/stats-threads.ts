import { Worker } from 'node:worker_threads'
import type { StatsState } from './stats.ts'

/** What a thread says of the log it was given. */
export type StatsAnswer =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'done'; readonly state: StatsState }
  /** It is damaged or cannot be read: doing the same in place tells why. */
  | { readonly kind: 'failed' }

/**
 * Sums up logs in threads, and tells of each in the order in which they are done: its sums, or undefined where it has to be
 * done in place. `onProgress` is told the bytes that are done of all.
 * @throws Error where a thread ends before its work does
 */
export async function sumInThreads(
  paths: readonly string[],
  options: {
    readonly threads: number
    readonly onLog: (path: string, state: StatsState | undefined) => void
    readonly onProgress: (doneBytes: number) => void
    readonly workerEntry?: URL
  },
): Promise<void> {
  const { threads, onLog, onProgress, workerEntry = entry() } = options
  const waiting = [...paths].reverse()
  const done = new Map<string, number>()
  const workers: Worker[] = []
  const run = async (): Promise<void> => {
    const worker = new Worker(workerEntry, { name: 'stats' })
    workers.push(worker)
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      const log = path
      const state = await ask(worker, log, (doneBytes) => {
        done.set(log, doneBytes)
        onProgress([...done.values()].reduce((sum, bytes) => sum + bytes, 0))
      })
      onLog(log, state)
    }
  }
  try {
    await Promise.all(Array.from({ length: Math.min(threads, paths.length) }, run))
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

/** Gives a thread a log, and resolves with what it makes of it. */
function ask(
  worker: Worker,
  path: string,
  onProgress: (doneBytes: number) => void,
): Promise<StatsState | undefined> {
  return new Promise((resolve, reject) => {
    const onExit = (status: number): void => {
      reject(new Error(`a thread of stats ended with status ${status}`))
    }
    const onMessage = (answer: StatsAnswer): void => {
      if (answer.kind === 'progress') {
        onProgress(answer.doneBytes)
        return
      }
      worker.off('message', onMessage).off('error', reject).off('exit', onExit)
      resolve(answer.kind === 'done' ? answer.state : undefined)
    }
    worker.on('message', onMessage).on('error', reject).on('exit', onExit)
    worker.postMessage(path)
  })
}

/** The worker's file beside this one, built or as TypeScript. */
function entry(): URL {
  if (!import.meta.url.endsWith('.ts')) return new URL('./stats-worker.js', import.meta.url)
  // A thread has no loader for TypeScript of its own, whatever the process was started with.
  const loader = import.meta.resolve('tsx/esm/api')
  const file = new URL('./stats-worker.ts', import.meta.url).href
  const code = `import { register } from '${loader}'; register(); await import('${file}')`
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`)
}
