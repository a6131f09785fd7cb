import { expect, test } from 'vitest'
import { run } from '../../docs/examples/library.ts'
import { run as send } from '../../docs/examples/transfer.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

test('the example of docs/library.md runs as it stands', () => {
  const folder = temporaryFolder()
  const lines: string[] = []
  run(folder, (line) => lines.push(line))
  expect(lines).toEqual([
    'appended offsets 0 to 2',
    '1 bob: 1 pear',
    '2 alice: 2 plums',
    '3 records, lz4, crc true',
    'KAFKATS_OFFSET_OUT_OF_RANGE OFFSET_OUT_OF_RANGE',
  ])
  lines.length = 0
  run(folder, (line) => lines.push(line))
  expect(lines[0]).toBe('appended offsets 3 to 5')
})

test('the example that sends what a fetch found runs as it stands', async () => {
  const lines: string[] = []
  await send(temporaryFolder(), (line) => lines.push(line))
  expect(lines).toEqual([
    '4 bytes of head before 144 of batches',
    '1 two',
    '2 three',
    'KAFKATS_CONNECTION_LOST',
  ])
})
