/** `wabun sandbox`: the simulated WhatsApp as a process of its own. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config'
import { systemClock } from '../lib/clock'
import { createLog } from '../lib/log'
import { startStandaloneSandbox } from '../sandbox/standalone'
import { undoFailedAttempts } from '../whatsapp/baileys/upstream/failed-attempts'
import { keepTransactionsApart } from '../whatsapp/baileys/upstream/own-transactions'
import { quietLibsignal } from '../whatsapp/baileys/upstream/quiet-libsignal'
import { stopOnSignals } from './process-events'
import { logFormat } from './serve'

/** Runs until a signal comes; prints the variables that point a server at it. */
export async function runSandbox(
  config: Config,
  options: { caFile: string | null; port: number; mediaPort: number },
): Promise<number> {
  const write = (line: string) => process.stdout.write(`${line}\n`)
  const log = createLog({ level: config.logLevel, format: logFormat(config), write, now: systemClock.now })
  // The phones' Signal library prints private keys when sessions close.
  quietLibsignal()
  keepTransactionsApart()
  undoFailedAttempts()
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 })
  const running = await startStandaloneSandbox({
    host: config.host,
    controlPort: config.port,
    port: options.port,
    mediaPort: options.mediaPort,
    caFile: options.caFile ?? join(config.dataDir, 'sandbox-ca.pem'),
    stateFile: join(config.dataDir, 'sandbox.sqlite'),
    ...(config.apiKey === null ? {} : { apiKey: config.apiKey }),
  })
  const lines: string[] = []
  const first = { level: 'info', format: logFormat(config), now: systemClock.now } as const
  createLog({ ...first, write: (line) => lines.push(line) }).info(`listening on ${running.controlUrl}`)
  // One write: whoever waits for the first line has the others as well.
  write(
    [...lines, '# The simulated WhatsApp runs. Point a server at it with:', ...running.environment].join(
      '\n',
    ),
  )
  return await stopOnSignals(log, () => running.stop())
}
