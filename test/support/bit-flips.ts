import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Finding } from '../../src/inspect/finding.ts'
import { diskFileSystem, type FileSystem, type OpenFile } from '../../src/storage/file-system.ts'
import { verified } from './verified.ts'

/** Where one bit is turned over. */
export interface BitFlip {
  /** Name of a file in the folder. */
  readonly name: string
  /** Byte position in it. */
  readonly position: number
  /** 0 is the lowest. */
  readonly bit: number
}

/** What cannot be found in the files of one partition alone, whatever reads them. */
export const UNKNOWABLE_REASONS = {
  'topic id':
    'a topic id is 16 random bytes; only another partition of the topic, or the cluster, has it too',
} as const

/** The reason why a flip cannot be found, undefined where it must be. */
export function unknowable({
  name,
  position,
}: BitFlip): keyof typeof UNKNOWABLE_REASONS | undefined {
  const topicIdAt = 'version: 0\ntopic_id: '.length
  return name === 'partition.metadata' && position >= topicIdAt ? 'topic id' : undefined
}

/** A partition folder in memory, of which one bit is read wrong. */
export class FlippedFolder {
  readonly #dir: string
  readonly #files: ReadonlyMap<string, Buffer>
  readonly #known: ReadonlySet<string>

  constructor(dir: string) {
    this.#dir = dir
    this.#files = new Map(
      readdirSync(dir).map((name) => [name, readFileSync(join(dir, name))] as const),
    )
    this.#known = new Set(verified([dir]).findings.map(identity))
  }

  get bits(): number {
    let sum = 0
    for (const bytes of this.#files.values()) sum += bytes.length * 8
    return sum
  }

  /**
   * A flip by four numbers of 32 bits: the kind of file, the file, the byte, the bit. Every kind comes equally often, and
   * of the logs the bytes that no checksum covers are one more kind.
   */
  pick(numbers: readonly [number, number, number, number]): BitFlip {
    const [kindNumber, fileNumber, byteNumber, bitNumber] = numbers
    const kinds = new Map<string, string[]>()
    for (const [name, bytes] of this.#files) {
      if (bytes.length === 0) continue
      const kind = name.replace(/^\d+/, '')
      for (const each of kind === '.log' ? ['.log', 'unprotected'] : [kind]) {
        kinds.set(each, [...(kinds.get(each) ?? []), name])
      }
    }
    const [kind, names] = [...kinds][kindNumber % kinds.size] ?? ['', []]
    const name = names[fileNumber % names.length] ?? ''
    const bytes = this.#files.get(name) ?? Buffer.alloc(0)
    const places = kind === 'unprotected' ? unprotectedBytes(bytes) : undefined
    const position = places?.[byteNumber % places.length] ?? byteNumber % bytes.length
    return { name, position, bit: bitNumber % 8 }
  }

  /** The flip with a number below {@link bits}. */
  flipAt(number: number): BitFlip {
    let position = Math.floor(number / 8)
    for (const [name, bytes] of this.#files) {
      if (position < bytes.length) return { name, position, bit: number % 8 }
      position -= bytes.length
    }
    throw new Error(`there are only ${this.bits} bits`)
  }

  /** What is found with the bit turned over that is not found without. */
  findings(flip: BitFlip, deep = false): readonly Finding[] {
    const path = join(this.#dir, flip.name)
    const fileSystem: FileSystem = {
      ...diskFileSystem,
      open: (opened, mode) => {
        const file = diskFileSystem.open(opened, mode)
        return opened === path ? flippedFile(file, flip) : file
      },
      readFile: (read, maxBytes) => {
        const bytes = Buffer.from(diskFileSystem.readFile(read, maxBytes))
        if (read === path)
          bytes.writeUInt8(bytes.readUInt8(flip.position) ^ (1 << flip.bit), flip.position)
        return bytes
      },
    }
    return verified([this.#dir], { fileSystem, deep }).findings.filter(
      (finding) => !this.#known.has(identity(finding)),
    )
  }
}

/** Positions of base offset, length, leader epoch and magic of every v2 batch, and of its checksum. */
function unprotectedBytes(log: Buffer): number[] {
  const positions: number[] = []
  for (let at = 0; at < log.length; at += 12 + log.readInt32BE(at + 8)) {
    for (let i = 0; i < 21; i++) positions.push(at + i)
  }
  return positions
}

function identity({ code, file, message }: Finding): string {
  return `${code} ${file} ${message}`
}

function flippedFile(file: OpenFile, { position, bit }: BitFlip): OpenFile {
  return {
    path: file.path,
    fd: file.fd,
    read(target, targetStart, length, from) {
      const read = file.read(target, targetStart, length, from)
      const at = targetStart + position - from
      if (position >= from && position < from + read) target[at] = (target[at] ?? 0) ^ (1 << bit)
      return read
    },
    write: () => undefined,
    writev: () => undefined,
    truncate: () => undefined,
    sync: () => undefined,
    size: () => file.size(),
    close: () => file.close(),
  }
}
