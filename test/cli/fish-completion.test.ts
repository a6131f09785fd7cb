import { expect, test } from 'vitest'
import { fishCompletion } from '../../src/cli/fish-completion.ts'
import { runBin } from '../support/run-command.ts'

const option = { type: 'option', summary: 'What.' }

test('commands, flags and values of flags', () => {
  const script = fishCompletion(
    'kafkats',
    [
      {
        id: 'read',
        summary: "Print a log's records.",
        flags: {
          format: { ...option, name: 'format', options: ['text', 'ndjson'] },
          limit: { ...option, name: 'limit', char: 'n', summary: 'At most.\nMore.' },
          color: { type: 'boolean', name: 'color', allowNo: true, description: 'A \\ in it.' },
          secret: { ...option, name: 'secret', hidden: true },
        },
      },
      { id: 'bench', summary: 'Compare.', flags: { size: { ...option, name: 'size' } } },
      { id: 'bench:write', summary: 'Append.', flags: { size: { ...option, name: 'size' } } },
      { id: 'only:below', flags: {} },
      { id: 'internal', hidden: true, flags: {} },
    ],
    { only: 'By <%= config.bin %>.' },
  )
  expect(script.match(/^complete .*$/gm)).toMatchInlineSnapshot(`
    [
      "complete -c kafkats -n '__kafkats_at --exact' -f -a 'bench' -d 'Compare.'",
      "complete -c kafkats -n '__kafkats_at --exact bench' -l size -r -d 'What.'",
      "complete -c kafkats -n '__kafkats_at --exact bench' -f -a 'write' -d 'Append.'",
      "complete -c kafkats -n '__kafkats_at bench write' -l size -r -d 'What.'",
      "complete -c kafkats -n '__kafkats_at --exact only' -f -a 'below' -d ''",
      "complete -c kafkats -n '__kafkats_at --exact' -f -a 'read' -d 'Print a log\\'s records.'",
      "complete -c kafkats -n '__kafkats_at read' -l format -x -a 'text ndjson' -d 'What.'",
      "complete -c kafkats -n '__kafkats_at read' -l limit -s n -r -d 'At most.'",
      "complete -c kafkats -n '__kafkats_at read' -l color -d 'A \\\\ in it.'",
      "complete -c kafkats -n '__kafkats_at read' -l no-color -d 'A \\\\ in it.'",
      "complete -c kafkats -n '__kafkats_at --exact' -f -a 'only' -d 'By kafkats.'",
    ]
  `)
})

test('the command tells of every command, those of plugins too', async () => {
  const { stdout, stderr, exitStatus } = await runBin(['completion', 'fish'])
  expect({ stderr, exitStatus }).toEqual({ stderr: '', exitStatus: 0 })
  for (const name of ['append', 'dump-index', 'verify', 'help', 'autocomplete']) {
    expect(stdout).toContain(`complete -c kafkats -n '__kafkats_at --exact' -f -a '${name}' -d '`)
  }
  expect(stdout).toContain(`-n '__kafkats_at --exact bench' -f -a 'write' -d '`)
  expect(stdout).toMatch(/-n '__kafkats_at dump-index' -l format -x -a 'text kafka ndjson' -d '/)
  expect(stdout).not.toContain('<%')
})
