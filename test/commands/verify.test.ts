import { appendFileSync, chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import Verify from '../../src/commands/verify.ts'
import { copyFixture, FIXTURES } from '../support/fixtures.ts'
import { runCommand } from '../support/run-command.ts'

const FLIPPED = join(FIXTURES, 'damaged/flip-mid-segment/before/ledger-0')
const TORN = join(FIXTURES, 'damaged/torn-tail/before/ledger-0')
const SOUND = join(FIXTURES, 'broker-4.1.0/orders-none-0')

const relative = (text: string): string =>
  text.replaceAll(`${FIXTURES}/`, '').replace(/ in [\d.]+ \w+$/m, ' in a moment')

describe('verify', () => {
  it('prints findings by file, what it read, and a verdict', async () => {
    const { stdout, stderr, exitStatus } = await runCommand(Verify, [FLIPPED])
    expect(relative(stdout)).toMatchInlineSnapshot(`
      "damaged/flip-mid-segment/before/ledger-0/00000000000000000160.log
        error L4-crc-mismatch at byte 846, offset 175
          crc differs: stored 0x63abe430, computed 0xf157b25a, in a batch of 166
          bytes; offsets 175 to 179 are lost
          Hint: copy the segment from a replica or a backup; "kafkats recover" keeps
          what comes before, "--salvage" what can be read

      damaged/flip-mid-segment/before/ledger-0/00000000000000000318.index
        info I3-preallocated at byte 0
          128 unused entries end the file, which is being written, or was when its
          writer died

      damaged/flip-mid-segment/before/ledger-0/00000000000000000318.timeindex
        info I3-preallocated at byte 0
          85 unused entries end the file, which is being written, or was when its
          writer died

      1 partition, 3 segments, 78 batches, 318 records, 18.7 KiB in a moment
      Damaged (1 error, 2 notes)
      "
    `)
    expect(stderr).toBe('')
    expect(exitStatus).toBe(3)
  })

  it('says that a log is sound', async () => {
    const { stdout, exitStatus } = await runCommand(Verify, [SOUND, '--deep'])
    expect(relative(stdout)).toMatch(/ in a moment\nSound( \(1 note\))?\n$/)
    expect(exitStatus).toBe(0)
  })

  it('gives one document over all paths with --json', async () => {
    const { stdout, exitStatus } = await runCommand(Verify, [SOUND, TORN, '--json'])
    const result = JSON.parse(stdout) as { findings: { code: string; file: string }[] }
    expect(Object.keys(result)).toEqual([
      'ok',
      'partitions',
      'segments',
      'bytes',
      'batches',
      'records',
      'seconds',
      'findings',
    ])
    expect(result).toMatchObject({ ok: true, partitions: 2, records: 2318 })
    expect(result.findings).toContainEqual({
      code: 'L1-torn-tail',
      severity: 'warning',
      file: join(TORN, '00000000000000000318.log'),
      position: 0,
      offset: 318,
      message: '454 bytes (0 to 453) at the end are no whole batch',
      hint: '"kafkats recover" cuts it, as a broker does after a crash',
    })
    expect(exitStatus).toBe(0)
  })

  it('prints a finding a line with --format ndjson', async () => {
    const { stdout, exitStatus } = await runCommand(Verify, [FLIPPED, '--format', 'ndjson'])
    const codes = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { code: string }).code)
    expect(codes).toContain('L4-crc-mismatch')
    expect(exitStatus).toBe(3)
  })

  it.each([
    [[], 0],
    [['--fail-on', 'error'], 0],
    [['--fail-on', 'warning'], 3],
  ])('with %j a warning gives status %i', async (flags, status) => {
    expect((await runCommand(Verify, [TORN, ...flags])).exitStatus).toBe(status)
    expect((await runCommand(Verify, [SOUND, ...flags])).exitStatus).toBe(0)
  })

  it('refuses what is nothing of a log, and wrong usage', async () => {
    const nothing = await runCommand(Verify, [join(FIXTURES, 'nothing')])
    expect(nothing.stderr).toMatch(/no such file or folder/)
    expect(nothing.exitStatus).toBe(1)
    expect((await runCommand(Verify, [])).exitStatus).toBe(2)
    expect((await runCommand(Verify, [SOUND, '--json', '--format', 'ndjson'])).exitStatus).toBe(2)
  })

  it('changes nothing, and needs no leave to write', async () => {
    const dir = copyFixture('crash/ledger-0')
    appendFileSync(join(dir, '00000000000000000318.log'), 'torn')
    const state = (): unknown =>
      readdirSync(dir).map((name) => {
        const { size, mtimeMs, ctimeMs } = statSync(join(dir, name))
        return [name, size, mtimeMs, ctimeMs]
      })
    for (const name of readdirSync(dir)) chmodSync(join(dir, name), 0o444)
    chmodSync(dir, 0o555)
    const before = state()
    await runCommand(Verify, [dir, '--deep'])
    expect(state()).toEqual(before)
    chmodSync(dir, 0o755)
  })
})
