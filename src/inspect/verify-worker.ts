import { parentPort } from 'node:worker_threads'
import { KafkatsError } from '../errors.ts'
import { diskFileSystem } from '../storage/file-system.ts'
import { FindingReporter, type Finding } from './finding.ts'
import type { VerifyAnswer, VerifyUnit } from './verify-ahead.ts'
import { verifyPartition, type PartitionTask } from './verify-partition.ts'
import { checkPrefix } from './verify-prefix.ts'

/** Entry of a worker thread of `verify`: takes a unit at a time and answers, with progress in between. */
const say = (answer: VerifyAnswer): void => {
  parentPort?.postMessage(answer)
}

parentPort?.on('message', (unit: VerifyUnit) => {
  if (unit.kind === 'segment') {
    say({ kind: 'segment', checkedTo: segment(unit.path, unit.deep) })
    return
  }
  try {
    partition(unit.task)
  } catch {
    say({ kind: 'failed' })
  }
})

function partition(task: PartitionTask): void {
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

/** How far a log is sound. What cannot be read is left to the walk, which says so. */
function segment(path: string, deep: boolean): number {
  let checkedTo = 0
  try {
    const file = diskFileSystem.open(path, 'read')
    try {
      const walk = checkPrefix(file, deep)
      for (let step = walk.next(); ; step = walk.next()) {
        checkedTo = step.value
        if (step.done === true) return checkedTo
        say({ kind: 'progress', doneBytes: checkedTo })
      }
    } finally {
      file.close()
    }
  } catch (error) {
    if (!(error instanceof KafkatsError)) throw error
    return checkedTo
  }
}
