import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { InvalidArgumentError } from '../../errors.ts'
import { PlainExchange } from './plain.ts'
import type { SaslExchange } from './sasl-exchange.ts'
import {
  isScramPassword,
  MIN_SCRAM_ITERATIONS,
  parseScramVerifier,
  SCRAM_MECHANISMS,
  ScramExchange,
  scramVerifier,
  type ScramMechanism,
  type ScramVerifier,
} from './scram.ts'

export type SaslMechanism = 'PLAIN' | ScramMechanism

/** Somebody who may connect: by a password, or by what is kept of one. */
export interface SaslUser {
  readonly name: string
  readonly password?: string | undefined
  readonly verifiers?: Readonly<Partial<Record<ScramMechanism, ScramVerifier>>> | undefined
}

const MECHANISMS: readonly ScramMechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']

/**
 * Users from a text: a line each, `name:password` or `name:verifier` in PostgreSQL's form
 * (`SCRAM-SHA-256$iterations:salt$storedKey:serverKey`), of which a user may have one of each mechanism. The password
 * is all behind the first colon. Empty lines and lines that begin with `#` say nothing.
 * @param file for errors
 * @throws InvalidArgumentError with the line that is wrong; never with what stands in it
 */
export function parseUsers(text: string, file: string): readonly SaslUser[] {
  const users = new Map<string, SaslUser>()
  for (const [i, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue
    const wrong = (what: string): InvalidArgumentError =>
      new InvalidArgumentError(`${file}, line ${i + 1}: ${what}`, {
        file,
        hint: 'a line is name:password, or name:verifier as docs/serve.md shows it',
      })
    const colon = line.indexOf(':')
    const [name, secret] = [line.slice(0, colon), line.slice(colon + 1)]
    if (colon < 1 || secret === '') throw wrong('a name and a password are needed')
    const user = users.get(name) ?? { name }
    let parsed: ReturnType<typeof parseScramVerifier>
    try {
      parsed = parseScramVerifier(secret)
    } catch (error) {
      throw wrong(error instanceof Error ? error.message : String(error))
    }
    if (parsed === undefined) {
      if (/^SCRAM-SHA-\d+\$/.test(secret)) throw wrong('this is no whole SCRAM verifier')
      if (user.password !== undefined) throw wrong('this name has a password already')
      users.set(name, { ...user, password: secret })
    } else {
      const { mechanism, verifier } = parsed
      if (user.verifiers?.[mechanism] !== undefined) throw wrong(`a second ${mechanism} verifier`)
      users.set(name, { ...user, verifiers: { ...user.verifiers, [mechanism]: verifier } })
    }
  }
  if (users.size === 0) throw new InvalidArgumentError(`${file} names no user`, { file })
  return [...users.values()]
}

/** Who may connect, and the exchanges in which they prove it. Passwords are compared in constant time. */
export class Users {
  readonly #users: ReadonlyMap<string, SaslUser>
  /** Verifiers made of passwords, on first use. */
  readonly #made = new Map<string, Promise<ScramVerifier>>()
  /** Makes the salts of names that nobody has, the same each time, and keys the comparison of passwords. */
  readonly #secret = randomBytes(32)

  constructor(users: Iterable<SaslUser>) {
    this.#users = new Map(Array.from(users, (user) => [user.name, user]))
  }

  exchange(mechanism: SaslMechanism): SaslExchange {
    return mechanism === 'PLAIN'
      ? new PlainExchange((name, password) => this.#isPassword(name, password))
      : new ScramExchange(mechanism, (name) => this.#verifierOf(name, mechanism))
  }

  async #isPassword(name: string, password: string): Promise<boolean> {
    const user = this.#users.get(name)
    const mechanism = MECHANISMS.find((each) => user?.verifiers?.[each] !== undefined)
    const verifier = mechanism === undefined ? undefined : user?.verifiers?.[mechanism]
    if (user?.password === undefined && mechanism !== undefined && verifier !== undefined) {
      return isScramPassword(mechanism, verifier, password)
    }
    const digest = (text: string): Buffer =>
      createHmac('sha256', this.#secret).update(text).digest()
    const isSame = timingSafeEqual(digest(user?.password ?? ''), digest(password))
    return isSame && user?.password !== undefined
  }

  async #verifierOf(name: string, mechanism: ScramMechanism): Promise<ScramVerifier> {
    const user = this.#users.get(name)
    const kept = user?.verifiers?.[mechanism]
    if (kept !== undefined) return kept
    if (user?.password === undefined) return this.#nobody(name, mechanism)
    const key = `${mechanism} ${name}`
    const made = this.#made.get(key) ?? scramVerifier(mechanism, user.password)
    this.#made.set(key, made)
    return made
  }

  /** Looks like a verifier, but no password leads to its keys. */
  #nobody(name: string, mechanism: ScramMechanism): ScramVerifier {
    const { keyBytes } = SCRAM_MECHANISMS[mechanism]
    const salt = createHmac('sha256', this.#secret).update(`${mechanism} ${name}`).digest()
    return {
      salt: salt.subarray(0, 16),
      iterations: MIN_SCRAM_ITERATIONS,
      storedKey: randomBytes(keyBytes),
      serverKey: randomBytes(keyBytes),
    }
  }
}
