import { expect, it } from 'vitest'
import { parseEndpoint } from '../../src/cli/endpoint.ts'

it.each([
  ['-', { kind: 'stdout' }],
  ['unix:/run/x.sock', { kind: 'unix', path: '/run/x.sock' }],
  ['unix:a b', { kind: 'unix', path: 'a b' }],
  ['tcp://localhost:9000', { kind: 'tcp', host: 'localhost', port: 9000 }],
  ['TCP://10.0.0.1:65535', { kind: 'tcp', host: '10.0.0.1', port: 65_535 }],
  ['tcp://[::1]:9', { kind: 'tcp', host: '::1', port: 9 }],
  ['tcp://[fe80::1%eth0]:9', { kind: 'tcp', host: 'fe80::1%eth0', port: 9 }],
])('%s', (text, endpoint) => {
  expect(parseEndpoint(text)).toEqual(endpoint)
})

it.each([
  '',
  'unix:',
  'localhost:9000',
  'tcp://localhost',
  'tcp://localhost:',
  'tcp://localhost:0',
  'tcp://localhost:65536',
  'tcp://::1:9',
  'tcp://:9',
  'tcp://a/b:9',
  'http://localhost:9',
])('refuses "%s"', (text) => {
  expect(() => parseEndpoint(text)).toThrow(
    `"${text}" is not a place to send to: give tcp://HOST:PORT, unix:PATH, or - for stdout`,
  )
})
