import type { Finding } from '../../src/inspect/finding.ts'
import { verify, type VerifyTotals } from '../../src/inspect/verify.ts'
import { diskFileSystem, type FileSystem } from '../../src/storage/file-system.ts'

/** Runs `verify` to its end. */
export function verified(
  paths: readonly string[],
  options: { readonly deep?: boolean; readonly fileSystem?: FileSystem } = {},
): { readonly findings: readonly Finding[]; readonly totals: VerifyTotals } {
  const findings: Finding[] = []
  const walk = verify(paths, {
    fileSystem: options.fileSystem ?? diskFileSystem,
    deep: options.deep ?? false,
    onFinding: (finding) => findings.push(finding),
  })
  for (let step = walk.next(); ; step = walk.next()) {
    if (step.done === true) return { findings, totals: step.value }
  }
}
