/** What the process does on signals, and with errors that nobody caught. */
import { systemClock } from '../lib/clock'
import type { Log } from '../lib/log'

/** Longest an orderly stop may take (ms). */
const STOP_WITHIN = 10_000

/** Resolves with the exit code once a signal came and `stop` is through; a second signal ends the process at once. */
export function stopOnSignals(log: Log, stop: () => Promise<void>): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  let stopping = false
  const onSignal = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1)
    stopping = true
    log.info('Stopping', { signal })
    const cancel = systemClock.after(STOP_WITHIN, () => {
      log.error('The stop takes too long; leaving')
      process.exit(1)
    })
    stop().then(
      () => {
        cancel()
        log.info('Stopped')
        resolve(0)
      },
      (error: unknown) => {
        cancel()
        log.error('The stop has failed', { error: String(error) })
        resolve(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  return promise
}

/**
 * Errors that reach the process: those of some connection are logged and the server goes on, anything else ends it in
 * order, since nobody knows what state it has left behind. Rejections are the WhatsApp adapter's (it counts them).
 */
export function surviveConnectionErrors(log: Log, stop: () => Promise<void>): void {
  process.on('uncaughtException', (error: Error & { code?: string }) => {
    const fields = { error: error.name, code: error.code, detail: error.message }
    if (typeof error.code === 'string' && /^(?:E[A-Z]+|ERR_(?:TLS|SSL|SOCKET|STREAM)\w*)$/.test(error.code)) {
      log.error('A connection failed unnoticed; serving on', fields)
      return
    }
    log.error('An error that nobody caught; stopping', { ...fields, stack: error.stack })
    const leave = () => process.exit(70)
    systemClock.after(STOP_WITHIN, leave)
    stop().then(leave, leave)
  })
}
