import { parentPort } from 'node:worker_threads'
import { diskFileSystem } from '../storage/file-system.ts'
import type { PartitionUnit, VerifyAnswer, VerifyUnit } from './verify-ahead.ts'
import { ChunkWorker } from './verify-chunk-walk.ts'
import { ChunkBoard, type ChunkPlan } from './verify-chunks.ts'
import type { Finding } from './finding.ts'

/** Entry of a worker thread of `verify`: takes a unit at a time and answers, with progress in between. */
const say = (answer: VerifyAnswer): void => {
  parentPort?.postMessage(answer)
}

parentPort?.on('message', (unit: VerifyUnit) => {
  if (unit.kind === 'chunks') chunks(unit.plan)
  else {
    partition(unit).catch(() => {
      say({ kind: 'failed' })
    })
  }
})

async function partition({ task }: PartitionUnit): Promise<void> {
  // Most of the program's code, which chunks do not need: a thread begins with them 20 ms earlier without it.
  const { FindingReporter } = await import('./finding.ts')
  const { verifyPartition } = await import('./verify-partition.ts')
  const findings: Finding[] = []
  const reporter = new FindingReporter((finding) => findings.push(finding))
  const walk = verifyPartition(diskFileSystem, task, reporter)
  for (let step = walk.next(); ; step = walk.next()) {
    if (step.done === true) {
      say({ kind: 'partition', outcome: { report: step.value, findings } })
      return
    }
    say({ kind: 'progress', doneBytes: step.value })
  }
}

function chunks(plan: ChunkPlan): void {
  const worker = new ChunkWorker(diskFileSystem, new ChunkBoard(plan))
  try {
    worker.runToEnd()
  } finally {
    worker.close()
  }
  say({ kind: 'chunks' })
}
