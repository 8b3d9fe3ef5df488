/**
 * Baileys' logger, of which only the sentences reach our log: its objects hold keys, addresses and whole stanzas.
 *
 * The level is never `trace`, at which Baileys would write every stanza. What Baileys calls an error is mostly a query
 * that failed; it is a warning to us.
 */
import type { ILogger } from '@whiskeysockets/baileys/lib/Utils/logger'
import type { Log } from '../../lib/log'
import { describe, withoutNumbers } from './upstream/unhandled-rejections'

/** A logger for one socket. */
export function baileysLogger(log: Log): ILogger {
  const heard = (write: Log['warn']) => (fields: unknown, says?: string) => {
    const sentence = typeof fields === 'string' ? fields : (says ?? '')
    if (sentence === '') return
    const error = errorIn(fields)
    write(`Baileys: ${withoutNumbers(sentence)}`, error ? { ...describe(error) } : {})
  }
  const silent = () => undefined
  const logger: ILogger = {
    level: log.level === 'trace' || log.level === 'debug' ? 'debug' : 'warn',
    child: () => logger,
    trace: silent,
    debug: silent,
    info: heard(log.trace),
    warn: heard(log.debug),
    error: heard(log.warn),
  }
  return logger
}

function errorIn(fields: unknown): Error | null {
  if (typeof fields !== 'object' || fields === null) return null
  return Object.values(fields).find((value): value is Error => value instanceof Error) ?? null
}
