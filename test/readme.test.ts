import type { Command } from '@oclif/core'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import DumpIndex from '../src/commands/dump-index.ts'
import Read from '../src/commands/read.ts'
import Segments from '../src/commands/segments.ts'
import Verify from '../src/commands/verify.ts'
import { runCommand } from './support/run-command.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const COMMANDS: Readonly<Record<string, abstract new (...args: never[]) => Command>> = {
  'dump-index': DumpIndex,
  read: Read,
  segments: Segments,
  verify: Verify,
}

/** Commands over fixtures that the README shows, with what it says they print. */
function shownCommands(): { readonly command: string; readonly output: string[] }[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/```console\n(.*?)```/gs)].map(([, text = '']) => text)
  return blocks
    .flatMap((block) => block.split(/^\$ /m))
    .map((piece) => piece.trimEnd().split('\n'))
    .filter(([command = '']) => /^kafkats \S+ fixtures\//.test(command))
    .map(([command = '', ...output]) => ({ command, output }))
}

const withoutTimes = (text: string): string => text.replace(/ in \d+(\.\d+)? m?s$/gm, ' in TIME')

describe('README.md', () => {
  it('shows commands over fixtures', () => {
    expect(shownCommands().length).toBeGreaterThan(3)
  })

  it.each(shownCommands())('$command prints what it says', async ({ command, output }) => {
    const [, name = '', ...argv] = command.split(' ')
    const commandClass = COMMANDS[name]
    if (commandClass === undefined) throw new Error(`no such command here: ${name}`)
    const run = await runCommand(
      commandClass,
      argv.map((word) => (word.startsWith('fixtures/') ? join(ROOT, word) : word)),
    )
    const printed = withoutTimes(run.stdout.replaceAll(ROOT, ''))
    let at = 0
    for (const part of withoutTimes(output.join('\n')).split('…')) {
      const found = printed.indexOf(part.trim(), at)
      expect(found, `${part}\nis not in what was printed:\n${printed}`).toBeGreaterThanOrEqual(0)
      at = found + part.trim().length
    }
    if (!output.includes('…')) expect(printed.trimEnd()).toBe(output.join('\n'))
  })
})

it('names every command there is, and says of no other that it is there', () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [there = '', missing = ''] = readme.split('## What is not there yet')
  const names = readdirSync(join(ROOT, 'src/commands')).map((name) => name.replace(/\.ts$/, ''))
  expect(
    names.filter((name) => !there.includes(`\`${name}`)),
    'commands that the README does not name yet',
  ).toEqual([])
  const notThere = [...missing.matchAll(/`([a-z][a-z-]+)`/g)].map(([, name = '']) => name)
  expect(notThere.length).toBeGreaterThan(3)
  // dump is named there for what it does not do
  expect(
    names.filter((name) => notThere.includes(name)),
    'commands that "What is not there yet" of the README still lists',
  ).toEqual(['dump'])
})

it('every link between our pages leads somewhere', () => {
  const pages = [
    ...['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'fixtures/README.md'],
    ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md'))
      .map((path) => join('docs', path)),
  ]
  const broken = pages.flatMap((page) =>
    [...readFileSync(join(ROOT, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`),
  )
  expect(broken).toEqual([])
})
