import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Purgatory, type DelayedOperation } from '../../src/server/purgatory.ts'

/** Completes as soon as `ready` is set, and notes what happens. */
class Probe implements DelayedOperation {
  readonly keys: readonly string[]
  readonly events: string[] = []
  ready = false
  breaks = false

  constructor(...keys: string[]) {
    this.keys = keys
  }

  tryComplete(): boolean {
    if (this.breaks) throw new Error('broken')
    if (this.ready) this.events.push('completed')
    return this.ready
  }

  expire(): void {
    this.events.push('expired')
  }

  fail(error: unknown): void {
    this.events.push(String(error))
  }
}

it('completes at once what can be', () => {
  const purgatory = new Purgatory()
  const probe = new Probe('a')
  probe.ready = true
  purgatory.tryCompleteElseWatch(probe, 10_000)
  expect(probe.events).toEqual(['completed'])
  expect(purgatory.size).toBe(0)
})

it('completes after the event, not inside it, and once', async () => {
  const purgatory = new Purgatory()
  const probe = new Probe('a', 'b')
  const other = new Probe('c')
  purgatory.tryCompleteElseWatch(probe, 10_000)
  purgatory.tryCompleteElseWatch(other, 10_000)
  purgatory.check('a')
  await sleep(0)
  expect(probe.events).toEqual([])
  probe.ready = true
  other.ready = true
  purgatory.check('a')
  purgatory.check('b')
  expect(probe.events).toEqual([])
  await sleep(0)
  expect(probe.events).toEqual(['completed'])
  expect(other.events).toEqual([])
  expect(purgatory.size).toBe(1)
  purgatory.expireAll()
  expect(other.events).toEqual(['expired'])
})

it('expires what nothing completes', async () => {
  const purgatory = new Purgatory()
  const probe = new Probe('a')
  purgatory.tryCompleteElseWatch(probe, 5)
  await sleep(40)
  expect(probe.events).toEqual(['expired'])
  probe.ready = true
  purgatory.check('a')
  await sleep(0)
  expect(probe.events).toEqual(['expired'])
})

it('drops what nobody waits for any more', async () => {
  const purgatory = new Purgatory()
  const probe = new Probe('a')
  const aborted = new AbortController()
  purgatory.tryCompleteElseWatch(probe, 5, { signal: aborted.signal })
  aborted.abort()
  expect(purgatory.size).toBe(0)
  await sleep(20)
  expect(probe.events).toEqual([])
})

it('a failure ends the operation alone', async () => {
  const purgatory = new Purgatory()
  const probe = new Probe('a')
  const sound = new Probe('a')
  purgatory.tryCompleteElseWatch(probe, 10_000)
  purgatory.tryCompleteElseWatch(sound, 10_000)
  probe.breaks = true
  sound.ready = true
  purgatory.check('a')
  await sleep(0)
  expect(probe.events).toEqual(['Error: broken'])
  expect(sound.events).toEqual(['completed'])
  expect(purgatory.size).toBe(0)
})
