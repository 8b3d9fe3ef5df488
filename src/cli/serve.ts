/** `wabun serve`: the server as a process. */
import { createApp } from '../app'
import { type HeldLines, holdLines } from '../app/held-log'
import { type Config, ConfigError } from '../config'
import { systemClock } from '../lib/clock'
import { createLog, type Log, type LogFormat } from '../lib/log'
import { scrubbed } from '../lib/log-fields'
import { StorageRefused } from '../storage/refused'
import { stopOnSignals, surviveConnectionErrors } from './process-events'
import { requestLimit } from './request-limit'

/** `auto` means: for people on a terminal, for machines everywhere else. */
export const logFormat = (config: Pick<Config, 'logFormat'>): LogFormat =>
  config.logFormat === 'auto' ? (process.stdout.isTTY ? 'pretty' : 'json') : config.logFormat

/** Exit code of a configuration that cannot be used (sysexits: EX_CONFIG). */
export const EX_CONFIG = 78

/** Runs until a signal comes; resolves with the exit code. `shownSecrets`: settings that were given as flags. */
export async function serve(config: Config, shownSecrets: readonly string[] = []): Promise<number> {
  const lines = holdLines((line) => process.stdout.write(`${line}\n`))
  const format = logFormat(config)
  const log = createLog({ level: config.logLevel, format, write: lines.write, now: systemClock.now })
  try {
    const app = await createApp(config, { log, requestLimit: requestLimit(process.env) })
    surviveConnectionErrors(log, () => app.stop())
    const stopped = stopOnSignals(log, () => app.stop())
    await app.start()
    announce(app.url, format, lines)
    adviseOn(config, log)
    for (const name of shownSecrets)
      log.warn(`Other users of this machine can see flags: give ${name} as a variable instead`)
    return await stopped
  } catch (error) {
    lines.release(null)
    process.stderr.write(`${refusalText(error)}\n`)
    return error instanceof ConfigError || error instanceof StorageRefused ? EX_CONFIG : 1
  }
}

/** The one line that is written whatever the log level: who started the process waits for it. */
function announce(url: string, format: LogFormat, lines: HeldLines): void {
  const write = (line: string) => lines.release(line)
  createLog({ level: 'info', format, write, now: systemClock.now }).info(`listening on ${url}`)
}

function refusalText(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StorageRefused)
    return `wabun cannot start:\n${error.message}`
  const { code } = error as { code?: string }
  if (code === 'EADDRINUSE')
    return 'wabun cannot start: the port is taken; set PORT to another one, or 0 for a free one'
  return `wabun cannot start: ${scrubbed(error instanceof Error ? (error.stack ?? error.message) : String(error))}`
}

const LOOPBACK = /^(?:127\.|::1$|localhost$)/

function adviseOn(config: Config, log: Log): void {
  if (!LOOPBACK.test(config.host)) {
    log.warn(
      'Open to the network: put TLS in front (a reverse proxy), and set TRUSTED_PROXIES to its address',
      {
        host: config.host,
      },
    )
  }
  if (config.sandbox) log.warn('SANDBOX: sessions are connected to a simulated WhatsApp inside this process')
  if (config.registration === 'open')
    log.warn('Registration is open: anybody who reaches this server may register')
}
