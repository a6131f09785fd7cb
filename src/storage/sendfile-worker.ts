import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { Sendfile } from './sendfile.ts'
import { SendfileLoop, type SendfileEnd, type SendfileOrder } from './sendfile-loop.ts'

/** What the thread says: once whether it can work, then the end of each job. */
export type SendfileAnswer =
  | { readonly kind: 'ready' }
  | { readonly kind: 'unavailable' }
  | { readonly kind: 'end'; readonly end: SendfileEnd }

/** What the thread is started with. */
export interface SendfileWorkerData {
  /** See {@link SendfileLoop}. */
  readonly bell: number
}

/** Entry of the thread that sends files. Without work it waits for a message like other threads; at work it looks itself. */
function serve(port: NonNullable<typeof parentPort>): void {
  const say = (answer: SendfileAnswer): void => {
    port.postMessage(answer)
  }
  const calls = Sendfile.load()
  if (calls === undefined) {
    say({ kind: 'unavailable' })
    return
  }
  const loop = new SendfileLoop({
    calls,
    bell: (workerData as SendfileWorkerData).bell,
    nextOrder: () =>
      (receiveMessageOnPort(port) as { readonly message: SendfileOrder } | undefined)?.message,
    tell: (end) => {
      say({ kind: 'end', end })
    },
  })
  port.on('message', (order: SendfileOrder) => {
    loop.take(order)
    loop.run()
  })
  say({ kind: 'ready' })
}

if (parentPort !== null) serve(parentPort)
