import fc from 'fast-check'

/** SEED in the environment repeats a run of all property tests; without it every run has inputs of its own. */
const seed = process.env['SEED']
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })
