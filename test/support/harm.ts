import fc from 'fast-check'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A way to harm one file, described so that it makes sense for any file; places are fractions of it. */
export interface Harm {
  readonly kind:
    | 'flip'
    | 'zero'
    | 'noise'
    | 'cut'
    | 'append-noise'
    | 'append-zeros'
    | 'append-again'
    | 'remove'
    | 'leftover'
  /** Which suffix the file has; undefined for any file. */
  readonly suffix: string | undefined
  readonly file: number
  readonly at: number
  readonly bytes: number
  readonly bit: number
  readonly leftover: '.deleted' | '.cleaned' | '.swap'
}

/** From 0 up to but excluding 1, evenly. */
export const fraction = fc.nat(99_999).map((n) => n / 100_000)

/** One of {@link Harm}, logs being harmed the most. */
export const harm: fc.Arbitrary<Harm> = fc.record({
  kind: fc.constantFrom<Harm['kind']>(
    'flip',
    'flip',
    'flip',
    'zero',
    'noise',
    'cut',
    'cut',
    'append-noise',
    'append-zeros',
    'append-again',
    'remove',
    'leftover',
  ),
  suffix: fc.constantFrom(
    '.log',
    '.log',
    '.log',
    '.index',
    '.timeindex',
    '.txnindex',
    '.snapshot',
    'leader-epoch-checkpoint',
    undefined,
  ),
  file: fraction,
  at: fraction,
  bytes: fc.integer({ min: 1, max: 400 }),
  bit: fc.integer({ min: 0, max: 7 }),
  leftover: fc.constantFrom<Harm['leftover']>('.deleted', '.cleaned', '.swap'),
})

/** Harms a file of a partition folder. */
export function applyHarm(
  dir: string,
  { kind, suffix, file, at, bytes, bit, leftover }: Harm,
): void {
  const all = readdirSync(dir).sort()
  const fitting = suffix === undefined ? all : all.filter((name) => name.endsWith(suffix))
  const names = fitting.length > 0 ? fitting : all
  const name = names[Math.floor(file * names.length)]
  if (name === undefined) return
  const path = join(dir, name)
  const before = readFileSync(path)
  const position = Math.min(Math.floor(at * before.length), Math.max(0, before.length - 1))
  const noise = Buffer.from(Array.from({ length: bytes }, (_, i) => (i * 197 + bit * 31 + 7) & 255))
  const after = Buffer.from(before)
  switch (kind) {
    case 'flip':
      if (after.length > 0) after[position] = (after[position] ?? 0) ^ (1 << bit)
      writeFileSync(path, after)
      return
    case 'zero':
      after.fill(0, position, Math.min(position + bytes, after.length))
      writeFileSync(path, after)
      return
    case 'noise':
      noise.copy(after, position)
      writeFileSync(path, after)
      return
    case 'cut':
      writeFileSync(path, before.subarray(0, position))
      return
    case 'append-noise':
      writeFileSync(path, Buffer.concat([before, noise]))
      return
    case 'append-zeros':
      writeFileSync(path, Buffer.concat([before, Buffer.alloc(bytes * 10)]))
      return
    case 'append-again':
      writeFileSync(path, Buffer.concat([before, before.subarray(position)]))
      return
    case 'remove':
      rmSync(path)
      return
    case 'leftover':
      if (name.includes('.')) cpSync(path, `${path}${leftover}`)
  }
}
