/**
 * What `verify` finds. A code is an id of the list of invariants (L log file, I indexes, X transaction indexes,
 * S snapshots, E leader epochs, N names and segments, K checkpoints and folders) with a readable name; it is stable.
 *
 *   error    bytes or records are lost, or contradict each other
 *   warning  what recovery would rebuild or cut
 *   info     legal, and worth knowing
 */
export type Severity = 'error' | 'warning' | 'info'

interface Kind {
  readonly severity: Severity
  readonly hint?: string
}

const error = (hint?: string): Kind => ({ severity: 'error', ...(hint && { hint }) })
const warning = (hint?: string): Kind => ({ severity: 'warning', ...(hint && { hint }) })
const info = (hint?: string): Kind => ({ severity: 'info', ...(hint && { hint }) })

const FROM_REPLICA =
  'copy the segment from a replica or a backup; "kafkats recover" keeps what comes before, "--salvage" what can be read'
const RECOVER = '"kafkats recover" on the folder mends it'
const REINDEX = '"kafkats reindex" on the folder rebuilds it from the log'
const NEXT_START = 'the next start of the broker, or "kafkats recover", removes it'

/** Every code with its severity and what to do; docs/verify.md tells what each means. */
export const FINDING_KINDS = {
  'L1-torn-tail': warning('"kafkats recover" cuts it, as a broker does after a crash'),
  'L1-incomplete-batch': error(FROM_REPLICA),
  'L1-zero-tail': warning('"kafkats recover" cuts it, as a broker does after a crash'),
  'L1-lost-range': error(FROM_REPLICA),
  'L1-batch-length': error(FROM_REPLICA),
  'L2-unknown-magic': error(FROM_REPLICA),
  'L3-batch-too-small': error(FROM_REPLICA),
  'L4-crc-mismatch': error(FROM_REPLICA),
  'L5-offset-below-base': error(FROM_REPLICA),
  'L6-offset-too-far': error(RECOVER),
  'L7-offsets-not-rising': error(FROM_REPLICA),
  'L8-record-count': error(FROM_REPLICA),
  'L9-record-offset': error(FROM_REPLICA),
  'L10-malformed-record': error(FROM_REPLICA),
  'L11-decompression': error(FROM_REPLICA),
  'L11-not-decoded': info(),
  'L12-timestamp': warning(),
  'L13-attributes': warning(),
  'L13-unknown-codec': error(FROM_REPLICA),
  'L14-epoch-decreased': warning(),
  'L14-no-epoch': info(),
  'L15-producer-fields': error(),
  'L16-sequence-gap': warning(),
  'L16-producer-epoch': error(),
  'L17-not-transactional': error(
    'a broker cannot load this log; "kafkats recover --salvage" keeps what can be read',
  ),
  'L18-control-batch': error(FROM_REPLICA),
  'L19-coordinator-epoch': error(),
  'L20-empty-batch': warning(),
  'L21-inner-message': error(FROM_REPLICA),
  'L22-file-too-large': error('a broker cannot load a segment of 2 GiB or more'),
  'I1-index-missing': warning(REINDEX),
  'I1-orphan-index': warning(NEXT_START),
  'I1-log-missing': error('bring back the .log from a replica or a backup'),
  'I2-partial-entry': warning(REINDEX),
  'I3-zero-tail': warning(REINDEX),
  'I3-preallocated': info(),
  'I4-offset-order': warning(REINDEX),
  'I5-position': warning(REINDEX),
  'I6-index-offset-mismatch': warning(REINDEX),
  'I6-older-writer': info(),
  'I8-time-order': warning(REINDEX),
  'I9-time-entry-mismatch': warning(REINDEX),
  'I9-older-writer': info(),
  'I10-largest-timestamp': warning(REINDEX),
  'X1-version': warning(REINDEX),
  'X2-outside-segment': warning(REINDEX),
  'X3-order': warning(REINDEX),
  'X4-no-such-abort': warning(REINDEX),
  'X4-first-offset': warning(REINDEX),
  'X4-producer': warning(REINDEX),
  'X5-missing-entry': warning(REINDEX),
  'X6-last-stable-offset': warning(REINDEX),
  'S1-snapshot-crc': warning(REINDEX),
  'S1-snapshot-format': warning(REINDEX),
  'S2-beyond-log-end': warning(NEXT_START),
  'S2-stray-snapshot': info(NEXT_START),
  'S3-state-mismatch': warning(REINDEX),
  'S3-missing-producer': warning(REINDEX),
  'S3-not-checked': info(),
  'S4-entry': warning(REINDEX),
  'S5-snapshot-missing': warning(REINDEX),
  'S5-older-snapshot-missing': info(),
  'E1-format': warning(RECOVER),
  'E1-not-rising': warning(RECOVER),
  'E2-start-beyond-end': warning(RECOVER),
  'E2-start-at-end': info(),
  'E3-epoch-start': warning(RECOVER),
  'E3-checkpoint-missing': warning(RECOVER),
  'E3-starts-later': info(),
  'E4-batch-epoch': warning(RECOVER),
  'E5-older-format': info(),
  'N1-segments-overlap': error(FROM_REPLICA),
  'N2-offset-gap': info(),
  'N4-leftover': info(NEXT_START),
  'N4-unfinished-swap': warning(RECOVER),
  'N5-file-name': warning(),
  'N5-unknown-file': info(),
  'N5-not-followed': warning('verify what it leads to by its own path'),
  'N5-unreadable': error(),
  'K1-recovery-point': warning('a broker lowers it to the log end'),
  'K2-log-start': error('a broker would delete the whole log: correct the file before it starts'),
  'K3-log-start': info(),
  'K4-high-watermark': warning('a broker clamps it'),
  'K5-cleaner-offset': warning('a broker starts at the log start instead'),
  'K6-format': warning('a broker takes the whole folder offline: correct or remove the file'),
  'K6-unknown-partition': info(),
  'K8-metadata-missing': warning('a broker sets such a folder aside as stray'),
  'K8-metadata-format': warning(),
  'K8-topic-ids-differ': warning('one of the folders is of another topic of the same name'),
  'K9-not-clean': warning(
    'remove .kafka_cleanshutdown, and the broker recovers the log at its start',
  ),
  'K10-meta-properties': warning(),
  'K11-stray-folder': warning('a broker does not start with it: move it away'),
  'K12-modified-in-future': info(),
} as const satisfies Readonly<Record<string, Kind>>

export type FindingCode = keyof typeof FINDING_KINDS

/** One thing that was found, as `verify --json` prints it. */
export interface Finding {
  readonly code: FindingCode
  readonly severity: Severity
  /** The path as it was reached from the path given. */
  readonly file: string
  /** Byte position in `file`. */
  readonly position?: number
  /** Offset in the log. */
  readonly offset?: bigint
  readonly message: string
  /** What to do. */
  readonly hint?: string
}

/** Where and what, for a {@link FindingReporter}. */
export interface FindingPlace {
  readonly file: string
  readonly position?: number | undefined
  readonly offset?: bigint | undefined
}

/** Findings of one kind in one file beyond this many are only counted: a broken index has millions of wrong entries. */
export const MOST_FINDINGS_OF_A_KIND = 100

/** Takes findings, adds severity and hint, and keeps the number of one kind in one file bounded. */
export class FindingReporter {
  readonly #sink: (finding: Finding) => void
  readonly #counts = new Map<string, number>()

  constructor(sink: (finding: Finding) => void) {
    this.#sink = sink
  }

  report(code: FindingCode, place: FindingPlace, message: string): void {
    const key = `${code} ${place.file}`
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    if (count > MOST_FINDINGS_OF_A_KIND) return
    this.#emit(code, place, message)
  }

  /** Tells of the findings that were only counted. Call it when a partition is done. */
  flush(): void {
    for (const [key, count] of this.#counts) {
      if (count <= MOST_FINDINGS_OF_A_KIND) continue
      const at = key.indexOf(' ')
      this.#emit(
        key.slice(0, at) as FindingCode,
        { file: key.slice(at + 1) },
        `${count - MOST_FINDINGS_OF_A_KIND} more of this kind in the file`,
      )
    }
    this.#counts.clear()
  }

  #emit(code: FindingCode, { file, position, offset }: FindingPlace, message: string): void {
    const { severity, hint }: Kind = FINDING_KINDS[code]
    this.#sink({
      code,
      severity,
      file,
      ...(position !== undefined && { position }),
      ...(offset !== undefined && { offset }),
      message,
      ...(hint !== undefined && { hint }),
    })
  }
}

const RANKS: Readonly<Record<Severity, number>> = { info: 0, warning: 1, error: 2 }

/** Whether a finding is at least as grave as `least`. */
export function isAtLeast(severity: Severity, least: Severity): boolean {
  return RANKS[severity] >= RANKS[least]
}
