import { Flags } from '@oclif/core'
import { readFileSync } from 'node:fs'
import { InvalidArgumentError } from '../errors.ts'

const MECHANISMS = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
const ADDRESS = /^(\[[0-9a-f:.]+\]|[^\s:/,@[\]]+):\d{1,5}$/i

/** A topic of a running cluster in place of a folder; spread them into `flags`. */
export const clusterFlags = {
  'bootstrap-server': Flags.string({
    summary: 'Work on a topic of this running cluster instead of a folder.',
    helpValue: 'HOST:PORT',
    helpGroup: 'CLUSTER',
    dependsOn: ['topic'],
  }),
  topic: Flags.string({
    summary: 'The topic.',
    helpValue: 'NAME',
    helpGroup: 'CLUSTER',
    dependsOn: ['bootstrap-server'],
  }),
  partition: Flags.integer({
    summary: 'Only this partition.',
    helpValue: 'N',
    helpGroup: 'CLUSTER',
    min: 0,
    dependsOn: ['bootstrap-server'],
  }),
  'tls-ca': Flags.string({
    summary: 'Connect by TLS, and trust the authorities in this file (PEM).',
    helpValue: 'FILE',
    helpGroup: 'CLUSTER',
    dependsOn: ['bootstrap-server'],
  }),
  'sasl-user': Flags.string({
    summary: 'Log in as this user.',
    helpValue: 'NAME',
    helpGroup: 'CLUSTER',
    dependsOn: ['bootstrap-server', 'sasl-password-file'],
  }),
  'sasl-password-file': Flags.string({
    summary: "File with the user's password.",
    helpValue: 'FILE',
    helpGroup: 'CLUSTER',
    dependsOn: ['sasl-user'],
  }),
  'sasl-mechanism': Flags.option({
    summary: 'How to log in [default: SCRAM-SHA-512].',
    options: MECHANISMS,
    helpGroup: 'CLUSTER',
    dependsOn: ['sasl-user'],
  })(),
}

interface ClusterFlags {
  readonly 'bootstrap-server'?: string | undefined
  readonly topic?: string | undefined
  readonly partition?: number | undefined
  readonly 'tls-ca'?: string | undefined
  readonly 'sasl-user'?: string | undefined
  readonly 'sasl-password-file'?: string | undefined
  readonly 'sasl-mechanism'?: (typeof MECHANISMS)[number] | undefined
}

/** A topic of a cluster, and how to connect. */
export interface ClusterTarget {
  readonly bootstrap: string
  readonly topic: string
  readonly partition: number | undefined
  readonly tlsCa: Buffer | undefined
  readonly sasl:
    | {
        readonly mechanism: (typeof MECHANISMS)[number]
        readonly user: string
        readonly password: string
      }
    | undefined
}

/** What the flags name; undefined where a folder is meant. Throws InvalidArgumentError for a wrong address. */
export function clusterTargetOf(flags: ClusterFlags): ClusterTarget | undefined {
  const { 'bootstrap-server': bootstrap, topic, 'sasl-user': user } = flags
  if (bootstrap === undefined || topic === undefined) return undefined
  if (!bootstrap.split(',').every((address) => ADDRESS.test(address))) {
    throw new InvalidArgumentError(
      `"${bootstrap}" is not the address of a broker: give --bootstrap-server HOST:PORT`,
    )
  }
  const { 'tls-ca': ca, 'sasl-password-file': file } = flags
  return {
    bootstrap,
    topic,
    partition: flags.partition,
    tlsCa: ca === undefined ? undefined : readFileSync(ca),
    sasl:
      user === undefined || file === undefined
        ? undefined
        : {
            mechanism: flags['sasl-mechanism'] ?? 'SCRAM-SHA-512',
            user,
            password: readFileSync(file, 'utf8').replace(/\r?\n$/, ''),
          },
  }
}

/** Exactly one of a folder and a cluster has to be named. */
export function needOneTarget(paths: number, cluster: ClusterTarget | undefined): void {
  if (paths === 0 && cluster === undefined) {
    throw new InvalidArgumentError(
      'nothing is named: give the folder of a partition, or --bootstrap-server and --topic',
    )
  }
  if (paths > 0 && cluster !== undefined) {
    throw new InvalidArgumentError('a folder and --bootstrap-server do not go together')
  }
}
