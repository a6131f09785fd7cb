#!/usr/bin/env node
// The command line straight from src/commands, without a build.
import { register } from 'tsx/esm/api'

register()
const { runCli } = await import('../src/cli/run-cli.ts')
await runCli(process.argv.slice(2), { commands: './src/commands' })
