import { Flags } from '@oclif/core'
import { configFlag, nowFlag } from './flags.ts'

/** Flags of every command that cuts, mends or removes; spread them into `flags`. */
export const mendFlags = {
  config: configFlag(),
  now: nowFlag,
  'dry-run': Flags.boolean({ summary: 'Print what would be done; touch nothing.' }),
  'backup-dir': Flags.string({
    summary: 'Keep what is taken away in a folder here.',
    description: 'Without it that folder is kafkats-cut-TIME inside the partition folder.',
    helpValue: 'PATH',
    exclusive: ['no-backup'],
  }),
  'no-backup': Flags.boolean({ summary: 'Do not keep what is taken away.' }),
  'broker-is-stopped': Flags.boolean({
    summary: 'Work in a data root whose broker may not have stopped orderly.',
  }),
}
