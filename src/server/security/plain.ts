import type { SaslExchange, SaslStep } from './sasl-exchange.ts'

/**
 * PLAIN: one token with the name and the password as they are.
 *
 * RFC 4616. Kafka: common/security/plain/internals/PlainSaslServer.java
 */
export class PlainExchange implements SaslExchange {
  readonly #isPassword: (name: string, password: string) => Promise<boolean>

  constructor(isPassword: (name: string, password: string) => Promise<boolean>) {
    this.#isPassword = isPassword
  }

  async step(token: Buffer): Promise<SaslStep> {
    const [authzid = '', user = '', password = '', ...more] = token.toString('utf8').split('\0')
    const isSound = more.length === 0 && user !== '' && password !== ''
    if (!isSound || (authzid !== '' && authzid !== user)) return { kind: 'failed', user }
    return (await this.#isPassword(user, password))
      ? { kind: 'done', token: Buffer.alloc(0), user }
      : { kind: 'failed', user }
  }
}
