import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { BROKER_DEFAULTS } from '../../src/server/broker-config.ts'
import { FAILED_ANSWERS } from '../../src/server/failed-answers.ts'

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')

describe('docs/test-broker.md', () => {
  it('shows the example that runs beside this test', () => {
    const example = readFileSync(new URL('orders.example.test.ts', import.meta.url), 'utf8')
    const shown = /```ts\n([\s\S]*?)```/.exec(page('test-broker.md'))?.[1]
    expect(shown).toBe(example.replace("'../../src/server/index.ts'", "'kafkats/server'"))
  })

  it('names every api that can be answered with an error', () => {
    const text = page('test-broker.md').split('Answers with errors')[1] ?? ''
    for (const api of Object.keys(FAILED_ANSWERS)) expect(text).toMatch(new RegExp(`\\b${api}\\b`))
  })
})

it('docs/serve.md names every setting of the broker', () => {
  const text = page('serve.md')
  expect(Object.keys(BROKER_DEFAULTS).filter((name) => !text.includes(`\`${name}\``))).toEqual([])
})
