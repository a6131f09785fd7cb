import { parentPort } from 'node:worker_threads'
import { diskFileSystem } from '../storage/file-system.ts'
import type { StatsAnswer } from './stats-threads.ts'
import { segmentSums, StatsSums } from './stats.ts'

/** Entry of a worker thread of `stats`: takes the path of a log at a time. */
const say = (answer: StatsAnswer): void => {
  parentPort?.postMessage(answer)
}

parentPort?.on('message', (path: string) => {
  try {
    const sums = new StatsSums()
    const walk = segmentSums(diskFileSystem, path, sums)
    for (let step = walk.next(); ; step = walk.next()) {
      if (step.done !== true) {
        say({ kind: 'progress', doneBytes: step.value })
        continue
      }
      say(step.value === undefined ? { kind: 'done', state: sums.state() } : { kind: 'failed' })
      return
    }
  } catch {
    say({ kind: 'failed' })
  }
})
