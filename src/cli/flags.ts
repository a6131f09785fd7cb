import { Flags } from '@oclif/core'
import { parseConfig, parseOffset, parseSize, parseTime } from './parse.ts'

/** How bytes are written as text. */
export const ENCODINGS = ['utf8', 'base64', 'hex'] as const

export type Encoding = (typeof ENCODINGS)[number]

/** A flag that takes `64KiB` and gives bytes. */
export const sizeFlag = Flags.custom<number>({
  helpValue: 'SIZE',
  parse: (text) => Promise.resolve(parseSize(text)),
})

/** A flag that takes milliseconds or ISO 8601 and gives milliseconds. A bigint default is not for the manifest, which is JSON. */
export const timeFlag = Flags.custom<bigint>({
  helpValue: 'TIME',
  noCacheDefault: true,
  parse: (text) => Promise.resolve(parseTime(text)),
})

/** A flag that takes an offset. */
export const offsetFlag = Flags.custom<bigint>({
  helpValue: 'N',
  noCacheDefault: true,
  parse: (text) => Promise.resolve(parseOffset(text)),
})

/** `--config name=value`, repeatable: `config: configFlag()`, then `parseConfig(flags.config ?? [])`. */
export const configFlag = Flags.custom<string[]>({
  summary: "A topic setting by Kafka's name; may be given several times.",
  helpValue: 'NAME=VALUE',
  multiple: true,
  // A greedy flag would take the folder that follows it for another setting.
  multipleNonGreedy: true,
  parse: (text) => {
    parseConfig([text])
    // oclif types the parser of a repeatable flag by the whole list, but calls it for each value.
    return Promise.resolve(text as unknown as string[])
  },
})

/** `--now TIME`: the clock for a command that writes. */
export const nowFlag = timeFlag({ summary: 'Take this for the current time.' })

/** The time a command works with, in milliseconds. */
export function nowOf(flag: bigint | undefined): bigint {
  return flag ?? BigInt(Date.now())
}

/** `--encoding`, `--key-encoding`, `--value-encoding`; spread them into `flags`. */
export const encodingFlags = {
  encoding: Flags.option({
    summary: 'How bytes are written as text.',
    options: ENCODINGS,
    default: 'utf8' as const,
  })(),
  'key-encoding': Flags.option({
    summary: 'The same for keys alone.',
    options: ENCODINGS,
  })(),
  'value-encoding': Flags.option({
    summary: 'The same for values and header values alone.',
    options: ENCODINGS,
  })(),
}

/** The encodings in force. */
export function encodingsOf(flags: {
  readonly encoding: Encoding
  readonly 'key-encoding'?: Encoding | undefined
  readonly 'value-encoding'?: Encoding | undefined
}): { readonly key: Encoding; readonly value: Encoding } {
  return {
    key: flags['key-encoding'] ?? flags.encoding,
    value: flags['value-encoding'] ?? flags.encoding,
  }
}
