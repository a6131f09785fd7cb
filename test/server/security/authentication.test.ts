import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../../src/protocol/error-codes.ts'
import { readResponse } from '../../../src/protocol/frame.ts'
import { API_VERSIONS_REQUEST } from '../../../src/protocol/messages/api-versions-request.ts'
import { API_VERSIONS_RESPONSE } from '../../../src/protocol/messages/api-versions-response.ts'
import { METADATA_REQUEST } from '../../../src/protocol/messages/metadata-request.ts'
import { METADATA_RESPONSE } from '../../../src/protocol/messages/metadata-response.ts'
import { SASL_AUTHENTICATE_REQUEST } from '../../../src/protocol/messages/sasl-authenticate-request.ts'
import {
  SASL_AUTHENTICATE_RESPONSE,
  type SaslAuthenticateResponse,
} from '../../../src/protocol/messages/sasl-authenticate-response.ts'
import { SASL_HANDSHAKE_REQUEST } from '../../../src/protocol/messages/sasl-handshake-request.ts'
import { SASL_HANDSHAKE_RESPONSE } from '../../../src/protocol/messages/sasl-handshake-response.ts'
import {
  formatScramVerifier,
  parseUsers,
  scramVerifier,
  startBroker,
  type Broker,
} from '../../../src/server/index.ts'
import { RawClient } from '../../support/raw-client.ts'

const HANDSHAKE = { request: SASL_HANDSHAKE_REQUEST, response: SASL_HANDSHAKE_RESPONSE }
const AUTHENTICATE = { request: SASL_AUTHENTICATE_REQUEST, response: SASL_AUTHENTICATE_RESPONSE }
const API_VERSIONS = { request: API_VERSIONS_REQUEST, response: API_VERSIONS_RESPONSE }
const METADATA = { request: METADATA_REQUEST, response: METADATA_RESPONSE }
const MECHANISMS = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const

const opened: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})
const failures: string[] = []

async function start(allowCleartextPasswords = true, users = 'alice:sec:ret\n'): Promise<Broker> {
  failures.length = 0
  const broker = await startBroker({
    sasl: { users: parseUsers(users, 'users'), allowCleartextPasswords },
    onFailure: (error) => failures.push(String(error)),
  })
  opened.push(() => broker.close())
  return broker
}

async function connected(broker: Broker): Promise<RawClient> {
  const client = await RawClient.connect(broker.address.port)
  opened.push(() => client.close())
  return client
}

function plain(user: string, password: string, authzid = ''): Buffer {
  return Buffer.from(`${authzid}\0${user}\0${password}`)
}

const token = (
  client: RawClient,
  authBytes: Buffer,
  version = 2,
): Promise<SaslAuthenticateResponse> => client.call(AUTHENTICATE, version, { authBytes })

async function works(client: RawClient): Promise<boolean> {
  const { brokers } = await client.call(METADATA, 8, {
    topics: null,
    allowAutoTopicCreation: false,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })
  return brokers.length === 1
}

/** A client's side of SCRAM, written down again from RFC 5802. */
async function scram(
  client: RawClient,
  mechanism: keyof typeof MECHANISMS,
  user: string,
  password: string,
): Promise<SaslAuthenticateResponse & { readonly expected: string }> {
  const hash = MECHANISMS[mechanism]
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest()
  const name = user.replaceAll('=', '=3D').replaceAll(',', '=2C')
  const first = `n=${name},r=clientnonce`
  const challenge = await token(client, Buffer.from(`n,,${first}`))
  expect(challenge.errorCode).toBe(0)
  const serverFirst = challenge.authBytes.toString()
  const [, nonce = '', salt = '', iterations] =
    /^r=(clientnonce[^,]{20,}),s=([^,]+),i=(\d+)$/.exec(serverFirst) ?? expect.fail(serverFirst)
  const salted = pbkdf2Sync(
    password,
    Buffer.from(salt, 'base64'),
    Number(iterations),
    hash === 'sha256' ? 32 : 64,
    hash,
  )
  const clientKey = hmac(salted, 'Client Key')
  const withoutProof = `c=biws,r=${nonce}`
  const message = `${first},${serverFirst},${withoutProof}`
  const signature = hmac(createHash(hash).update(clientKey).digest(), message)
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)))
  const last = await token(client, Buffer.from(`${withoutProof},p=${proof.toString('base64')}`))
  const expected = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`
  return { ...last, expected }
}

describe('PLAIN', () => {
  it.each([0, 1, 2])('lets a user in, SaslAuthenticate %d', async (version) => {
    const client = await connected(await start())
    const versions = { clientSoftwareName: 'raw', clientSoftwareVersion: '1' }
    expect((await client.call(API_VERSIONS, 3, versions)).errorCode).toBe(0)
    expect(await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })).toEqual({
      errorCode: 0,
      mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'],
    })
    const { errorCode, authBytes } = await token(client, plain('alice', 'sec:ret'), version)
    expect({ errorCode, bytes: authBytes.length }).toEqual({ errorCode: 0, bytes: 0 })
    expect(await works(client)).toBe(true)
  })

  it('takes bare tokens behind a handshake of version 0', async () => {
    const broker = await start()
    const client = await connected(broker)
    await client.call(HANDSHAKE, 0, { mechanism: 'PLAIN' })
    const bytes = plain('alice', 'sec:ret')
    const size = Buffer.alloc(4)
    size.writeInt32BE(bytes.length)
    client.socket.write(Buffer.concat([size, bytes]))
    expect(await client.receive()).toEqual(Buffer.alloc(0))
    expect(await works(client)).toBe(true)

    const other = await connected(broker)
    await other.call(HANDSHAKE, 0, { mechanism: 'PLAIN' })
    other.socket.write(Buffer.concat([size, Buffer.alloc(bytes.length, 'x')]))
    expect(await other.receive()).toBeUndefined()
  })

  it.each([
    ['a wrong password', plain('alice', 'secret')],
    ['an unknown name', plain('bob', 'sec:ret')],
    ['no password', plain('alice', '')],
    ['somebody else to act for', plain('alice', 'sec:ret', 'bob')],
    ['too many parts', Buffer.from('\0alice\0sec:ret\0')],
    ['nothing', Buffer.alloc(0)],
  ])('refuses %s after a while, and ends the connection', async (_, bytes) => {
    const client = await connected(await start())
    await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
    const startedAt = performance.now()
    expect(await token(client, bytes)).toMatchObject({
      errorCode: ERROR_CODES.SASL_AUTHENTICATION_FAILED,
      errorMessage: 'Authentication failed: Invalid username or password',
    })
    expect(performance.now() - startedAt).toBeGreaterThan(95)
    expect(await client.receive()).toBeUndefined()
    expect(failures.join()).toMatch(/authentication of user "[a-z]*" by PLAIN failed/)
  })

  it('is not taken without TLS unless told', async () => {
    const client = await connected(await start(false))
    expect(await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })).toEqual({
      errorCode: ERROR_CODES.UNSUPPORTED_SASL_MECHANISM,
      mechanisms: ['SCRAM-SHA-256', 'SCRAM-SHA-512'],
    })
    expect(await client.receive()).toBeUndefined()
  })
})

describe.each(['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('%s', (mechanism) => {
  it('lets a user in, and proves that the broker knows them', async () => {
    const client = await connected(await start(false, 'a=b,c:pass wörd\n'))
    await client.call(HANDSHAKE, 1, { mechanism })
    const { errorCode, authBytes, expected } = await scram(client, mechanism, 'a=b,c', 'pass wörd')
    expect(errorCode).toBe(0)
    expect(authBytes.toString()).toBe(expected)
    expect(await works(client)).toBe(true)
  })

  it('works with a verifier alone, and PLAIN with it too', async () => {
    const verifier = await scramVerifier(mechanism, 'sec:ret', { iterations: 8192 })
    const broker = await start(true, `bob:${formatScramVerifier(mechanism, verifier)}`)
    const client = await connected(broker)
    await client.call(HANDSHAKE, 1, { mechanism })
    expect((await scram(client, mechanism, 'bob', 'sec:ret')).errorCode).toBe(0)
    for (const [password, code] of [
      ['sec:ret', 0],
      ['other', ERROR_CODES.SASL_AUTHENTICATION_FAILED],
    ] as const) {
      const other = await connected(broker)
      await other.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
      expect((await token(other, plain('bob', password))).errorCode).toBe(code)
    }
  })

  it.each([
    ['a wrong password', 'alice', 'secret'],
    ['an unknown name, which is told no earlier', 'bob', 'sec:ret'],
  ])('refuses %s', async (_, user, password) => {
    const client = await connected(await start())
    await client.call(HANDSHAKE, 1, { mechanism })
    const answer = await scram(client, mechanism, user, password)
    expect(answer.errorCode).toBe(ERROR_CODES.SASL_AUTHENTICATION_FAILED)
    expect(answer.errorMessage).toContain(`SASL mechanism ${mechanism}`)
    expect(await client.receive()).toBeUndefined()
  })

  it.each([
    ['channel binding', 'p=tls-unique,,n=alice,r=abc'],
    ['extensions that must be understood', 'n,,m=x,n=alice,r=abc'],
    ['tokens of delegation', 'n,,n=alice,r=abc,tokenauth=true'],
    ['somebody else to act for', 'n,a=bob,n=alice,r=abc'],
    ['an escape that is none', 'n,,n=al=41ice,r=abc'],
    ['no nonce', 'n,,n=alice,r='],
    ['nonsense', '\0'],
  ])('refuses %s', async (_, first) => {
    const client = await connected(await start())
    await client.call(HANDSHAKE, 1, { mechanism })
    const { errorCode } = await token(client, Buffer.from(first))
    expect(errorCode).toBe(ERROR_CODES.SASL_AUTHENTICATION_FAILED)
  })

  it.each([
    ['another nonce', (final: string) => final.replace('r=', 'r=x')],
    ['another channel binding', (final: string) => final.replace('biws', 'eSws')],
    ['a short proof', (final: string) => final.replace(/p=.*/, 'p=AAAA')],
    ['no proof', (final: string) => final.replace(/,p=.*/, '')],
  ])('refuses a last message with %s', async (_, change) => {
    const client = await connected(await start())
    await client.call(HANDSHAKE, 1, { mechanism })
    const { authBytes } = await token(client, Buffer.from('n,,n=alice,r=abc'))
    const nonce = /r=([^,]+)/.exec(authBytes.toString())?.[1] ?? ''
    const final = change(`c=biws,r=${nonce},p=${Buffer.alloc(64).toString('base64')}`)
    const { errorCode } = await token(client, Buffer.from(final))
    expect(errorCode).toBe(ERROR_CODES.SASL_AUTHENTICATION_FAILED)
  })
})

it('SCRAM-SHA-256 of RFC 7677', async () => {
  const { ScramExchange } = await import('../../../src/server/security/scram.ts')
  const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
  const verifier = await scramVerifier('SCRAM-SHA-256', 'pencil', { salt, iterations: 4096 })
  const exchange = new ScramExchange(
    'SCRAM-SHA-256',
    () => Promise.resolve(verifier),
    '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
  )
  const challenge = await exchange.step(Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO'))
  expect(challenge).toEqual({
    kind: 'challenge',
    token: Buffer.from(
      'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
    ),
  })
  const final =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  expect(await exchange.step(Buffer.from(final))).toEqual({
    kind: 'done',
    user: 'user',
    token: Buffer.from('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='),
  })
})

describe('before a client has said who it is', () => {
  it.each([
    ['any other request', async (client: RawClient) => works(client)],
    [
      'a token without a handshake',
      (client: RawClient) => token(client, plain('alice', 'sec:ret')),
    ],
    [
      'another request between the tokens',
      async (client: RawClient) => {
        await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
        await works(client)
      },
    ],
    [
      'a second handshake',
      async (client: RawClient) => {
        await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
        await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
      },
    ],
    [
      'a frame above 512 KiB',
      async (client: RawClient) => {
        const size = Buffer.alloc(4)
        size.writeInt32BE(524_289)
        client.socket.write(size)
        if ((await client.receive()) === undefined) throw new Error('closed')
      },
    ],
  ])('%s ends the connection', async (_, work) => {
    await expect(work(await connected(await start()))).rejects.toThrow('closed')
  })

  it('an unknown mechanism is answered with those there are, and ends it', async () => {
    const client = await connected(await start())
    expect(await client.call(HANDSHAKE, 1, { mechanism: 'GSSAPI' })).toMatchObject({
      errorCode: ERROR_CODES.UNSUPPORTED_SASL_MECHANISM,
    })
    expect(await client.receive()).toBeUndefined()
  })
})

it('afterwards frames may be large, and who is already in is told so', async () => {
  const client = await connected(await start())
  await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
  await token(client, plain('alice', 'sec:ret'))
  client.socket.write(
    Buffer.concat([Buffer.from('000a000000030001000000090000', 'hex'), Buffer.alloc(655_350)]),
  )
  const frame = (await client.receive()) ?? expect.fail('closed')
  expect(readResponse(METADATA_RESPONSE, frame, 1).correlationId).toBe(9)
  expect((await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })).errorCode).toBe(
    ERROR_CODES.ILLEGAL_SASL_STATE,
  )
  expect((await token(client, plain('alice', 'x'))).errorCode).toBe(ERROR_CODES.ILLEGAL_SASL_STATE)
  expect(await works(client)).toBe(true)
})

it('a listener without users says that it asks for none', async () => {
  const broker = await startBroker()
  opened.push(() => broker.close())
  const client = await connected(broker)
  expect(await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })).toEqual({
    errorCode: ERROR_CODES.ILLEGAL_SASL_STATE,
    mechanisms: [],
  })
})

it('an interceptor sees who asks', async () => {
  const broker = await start()
  const users: string[] = []
  broker.intercept('Metadata', ({ user }) => {
    users.push(user)
    return 'pass'
  })
  const client = await connected(broker)
  await client.call(HANDSHAKE, 1, { mechanism: 'PLAIN' })
  await token(client, plain('alice', 'sec:ret'))
  await works(client)
  expect(users).toEqual(['alice'])
})

describe('a file of users', () => {
  it('has passwords with anything in them, comments, and verifiers', async () => {
    const made = await scramVerifier('SCRAM-SHA-512', 'x')
    const text = `# who\n\nalice:a:b #c \r\nbob:${formatScramVerifier('SCRAM-SHA-512', made)}\nbob:x\n`
    expect(parseUsers(text, 'users')).toEqual([
      { name: 'alice', password: 'a:b #c ' },
      { name: 'bob', password: 'x', verifiers: { 'SCRAM-SHA-512': made } },
    ])
  })

  it.each([
    ['no password', 'alice\n', 'line 1: a name and a password'],
    ['an empty one', '\nalice:\n', 'line 2: a name and a password'],
    ['no name', ':secret\n', 'line 1: a name and a password'],
    ['a name twice', 'a:b\na:c\n', 'line 2: this name has a password already'],
    ['half a verifier', 'a:SCRAM-SHA-256$4096:abcd\n', 'no whole SCRAM verifier'],
    ['a verifier with too few bytes', 'a:SCRAM-SHA-256$4096:YQ==$YQ==:YQ==\n', '32 bytes each'],
    [
      'a verifier that is too cheap',
      `a:SCRAM-SHA-256$10:YQ==$${Buffer.alloc(32).toString('base64')}:${Buffer.alloc(32).toString('base64')}\n`,
      '10 iterations',
    ],
    ['nobody', '# nobody\n', 'names no user'],
  ])('refuses %s, without saying what stands there', (_, text, message) => {
    expect(() => parseUsers(text, 'users')).toThrow(message)
  })
})
