import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { InvalidArgumentError } from '../../errors.ts'
import type { SaslExchange, SaslStep } from './sasl-exchange.ts'

/** RFC 7677 and its like for SHA-512; what Kafka has. */
export const SCRAM_MECHANISMS = {
  'SCRAM-SHA-256': { hash: 'sha256', keyBytes: 32 },
  'SCRAM-SHA-512': { hash: 'sha512', keyBytes: 64 },
} as const

export type ScramMechanism = keyof typeof SCRAM_MECHANISMS

/** What a server keeps instead of a password: enough to check one, not to log in with. */
export interface ScramVerifier {
  readonly salt: Buffer
  readonly iterations: number
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

/** Clients of Kafka refuse fewer. */
export const MIN_SCRAM_ITERATIONS = 4096
/** What it costs to try a password is paid by the server too. */
export const MAX_SCRAM_ITERATIONS = 1_000_000
const SALT_BYTES = 16
const NONCE_BYTES = 18
const derive = promisify(pbkdf2)

/** Computes what is kept of a password. Kafka: common/security/scram/internals/ScramFormatter.java */
export async function scramVerifier(
  mechanism: ScramMechanism,
  password: string,
  options: { readonly iterations?: number; readonly salt?: Buffer } = {},
): Promise<ScramVerifier> {
  const { hash, keyBytes } = SCRAM_MECHANISMS[mechanism]
  const { iterations = MIN_SCRAM_ITERATIONS, salt = randomBytes(SALT_BYTES) } = options
  const salted = await derive(Buffer.from(password), salt, iterations, keyBytes, hash)
  const clientKey = hmac(hash, salted, 'Client Key')
  return {
    salt,
    iterations,
    storedKey: createHash(hash).update(clientKey).digest(),
    serverKey: hmac(hash, salted, 'Server Key'),
  }
}

/** A verifier as PostgreSQL writes it: `SCRAM-SHA-256$iterations:salt$storedKey:serverKey`, in base64. */
export function formatScramVerifier(mechanism: ScramMechanism, verifier: ScramVerifier): string {
  const { iterations } = verifier
  const [salt, storedKey, serverKey] = [verifier.salt, verifier.storedKey, verifier.serverKey].map(
    (bytes) => bytes.toString('base64'),
  )
  return `${mechanism}$${iterations}:${salt}$${storedKey}:${serverKey}`
}

const BASE64 = '[A-Za-z0-9+/]+={0,2}'
const VERIFIER = new RegExp(
  `^(SCRAM-SHA-(?:256|512))\\$(\\d{1,9}):(${BASE64})\\$(${BASE64}):(${BASE64})$`,
)

/** The reverse of {@link formatScramVerifier}; undefined for what does not look like one. Throws for one that cannot be. */
export function parseScramVerifier(
  text: string,
): { readonly mechanism: ScramMechanism; readonly verifier: ScramVerifier } | undefined {
  const found = VERIFIER.exec(text)
  if (found === null) return undefined
  const mechanism = found[1] as ScramMechanism
  const iterations = Number(found[2])
  const [salt, storedKey, serverKey] = [found[3], found[4], found[5]].map((part = '') =>
    Buffer.from(part, 'base64'),
  ) as [Buffer, Buffer, Buffer]
  const { keyBytes } = SCRAM_MECHANISMS[mechanism]
  if (storedKey.length !== keyBytes || serverKey.length !== keyBytes) {
    throw new InvalidArgumentError(`the keys of ${mechanism} have ${keyBytes} bytes each`)
  }
  if (iterations < MIN_SCRAM_ITERATIONS || iterations > MAX_SCRAM_ITERATIONS) {
    throw new InvalidArgumentError(
      `${iterations} iterations: from ${MIN_SCRAM_ITERATIONS} to ${MAX_SCRAM_ITERATIONS} are taken`,
    )
  }
  return { mechanism, verifier: { salt, iterations, storedKey, serverKey } }
}

/** Whether a password is the one of the verifier. */
export async function isScramPassword(
  mechanism: ScramMechanism,
  verifier: ScramVerifier,
  password: string,
): Promise<boolean> {
  const { salt, iterations, storedKey } = verifier
  const made = await scramVerifier(mechanism, password, { salt, iterations })
  return timingSafeEqual(made.storedKey, storedKey)
}

// client-first: gs2 header (no channel binding, maybe an authzid), then name and nonce; nothing with `m=` before them.
const CLIENT_FIRST =
  /^(?<gs2>[ny],(?:a=(?<authzid>[^,]+))?,)(?<bare>n=(?<name>[^,]+),r=(?<nonce>[\x21-\x2b\x2d-\x7e]+)(?<extensions>(?:,[A-Za-z]+=[^,]+)*))$/
const CLIENT_FINAL =
  /^(?<withoutProof>c=(?<binding>[A-Za-z0-9+/=]+),r=(?<nonce>[^,]+)(?:,[A-Za-z]+=[^,]+)*),p=(?<proof>[A-Za-z0-9+/=]+)$/

/** What stands when the client's first message has been answered. */
interface Asked {
  readonly name: string
  readonly verifier: ScramVerifier
  readonly gs2: string
  readonly nonce: string
  /** Both first messages, as the proof covers them. */
  readonly messages: string
}

/**
 * The server's side of one SCRAM exchange: a nonce and a salt for the client's first message, and for the second, which
 * proves that it knows the password, a proof that the server knows it too. Tokens of delegation are not taken.
 *
 * RFC 5802. Kafka: common/security/scram/internals/ScramSaslServer.java
 */
export class ScramExchange implements SaslExchange {
  readonly #mechanism: ScramMechanism
  readonly #verifierOf: (name: string) => Promise<ScramVerifier>
  readonly #serverNonce: string
  #asked: Asked | undefined

  /** @param verifierOf for a name that nobody has, one that nothing satisfies: who is known is not to be told */
  constructor(
    mechanism: ScramMechanism,
    verifierOf: (name: string) => Promise<ScramVerifier>,
    serverNonce: string = randomBytes(NONCE_BYTES).toString('base64'),
  ) {
    this.#mechanism = mechanism
    this.#verifierOf = verifierOf
    this.#serverNonce = serverNonce
  }

  step(token: Buffer): Promise<SaslStep> | SaslStep {
    const text = token.toString('utf8')
    return this.#asked === undefined ? this.#first(text) : this.#final(text, this.#asked)
  }

  async #first(text: string): Promise<SaslStep> {
    const {
      gs2 = '',
      authzid,
      bare = '',
      name: saslName = '',
      nonce: clientNonce = '',
      extensions,
    } = CLIENT_FIRST.exec(text)?.groups ?? {}
    const name = decodeName(saslName)
    if (name === undefined || name === '') return failed(undefined)
    if (authzid !== undefined && decodeName(authzid) !== name) return failed(name)
    if (extensions?.includes('tokenauth=true') === true) return failed(name)
    const verifier = await this.#verifierOf(name)
    const nonce = clientNonce + this.#serverNonce
    const answer = `r=${nonce},s=${verifier.salt.toString('base64')},i=${verifier.iterations}`
    this.#asked = { name, verifier, gs2, nonce, messages: `${bare},${answer}` }
    return { kind: 'challenge', token: Buffer.from(answer) }
  }

  #final(text: string, asked: Asked): SaslStep {
    const { hash, keyBytes } = SCRAM_MECHANISMS[this.#mechanism]
    const { name, verifier, gs2, nonce, messages } = asked
    const {
      withoutProof = '',
      binding,
      nonce: answered,
      proof = '',
    } = CLIENT_FINAL.exec(text)?.groups ?? {}
    if (binding !== Buffer.from(gs2).toString('base64') || answered !== nonce) return failed(name)
    const covered = `${messages},${withoutProof}`
    const signature = hmac(hash, verifier.storedKey, covered)
    const clientProof = Buffer.from(proof, 'base64')
    if (clientProof.length !== keyBytes) return failed(name)
    const clientKey = Buffer.from(clientProof.map((byte, i) => byte ^ (signature[i] ?? 0)))
    const storedKey = createHash(hash).update(clientKey).digest()
    if (!timingSafeEqual(storedKey, verifier.storedKey)) return failed(name)
    const serverSignature = hmac(hash, verifier.serverKey, covered).toString('base64')
    return { kind: 'done', token: Buffer.from(`v=${serverSignature}`), user: name }
  }
}

function failed(user: string | undefined): SaslStep {
  return { kind: 'failed', user }
}

function hmac(hash: string, key: Buffer, text: string): Buffer {
  return createHmac(hash, key).update(text).digest()
}

/** `=2C` and `=3D` stand for comma and equals sign; undefined for any other `=`. */
function decodeName(text: string): string | undefined {
  if (/=(?!2C|3D)/.test(text)) return undefined
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
