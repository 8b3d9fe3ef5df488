#!/usr/bin/env bun
/** The command line of the product. */
import './cli/production'
import { runCommandLine } from './cli/commands'

const code = await runCommandLine(process.argv.slice(2), process.env)
// Whatever was printed must have left the process before it ends.
await new Promise<void>((resolve) => process.stdout.write('', () => resolve()))
process.exit(code)
