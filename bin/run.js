#!/usr/bin/env node
import { readFileSync } from 'node:fs'

const argv = process.argv.slice(2)

// A version question is answered before oclif is loaded: that is a third of the time.
if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-v')) {
  process.stdout.on('error', () => {})
  const { name, version } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  )
  process.stdout.write(
    `${name}/${version} ${process.platform}-${process.arch} node-${process.version}\n`,
  )
} else {
  // Where errors are shown with their place, it is that in the sources.
  if (process.env.DEBUG) process.setSourceMapsEnabled(true)
  const { runCli } = await import('../dist/bundle/run-cli.js')
  await runCli(argv)
}
