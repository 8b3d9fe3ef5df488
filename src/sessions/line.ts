/**
 * The one connection of a session: opened at most once a second, numbered, watched while it is not yet through, and
 * closed before another is opened.
 *
 * Each opening and each closing takes a new generation number; what a connection of an older generation says about the
 * session's life does not count any more.
 */
import type { Vaults } from '../domain/ownership'
import type { Connection, Report, WhatsApp } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'

/** Shortest time between two openings (ms); the handover after pairing is exempt, WhatsApp asks for it. */
export const OPEN_SPACING = 1_000
/** A connection that gets neither code nor login within this time (ms) has failed, whatever the socket believes. */
export const CONNECT_DEADLINE = 60_000
/** Time that WhatsApp has to confirm an unlinking (ms). */
export const UNLINK_DEADLINE = 5_000
/** A connection that has not ended by then (ms) is left behind; its keys are fenced by the next opening. */
const CLOSE_DEADLINE = 5_000

export type LineParts = {
  whatsapp: WhatsApp
  vaults: Vaults
  clock: Clock
  log: Log
  sessionId: string
  /** The proxy by which the session goes from now on, for whatever it opens. */
  proxyUrl: () => string | null
  raw: (messageId: string) => Uint8Array | null
  onReport: (generation: number, report: Report) => void
  /** The present connection has not come through in time. */
  onOverdue: (generation: number) => void
}

export interface Line {
  readonly generation: number
  readonly connection: Connection | null
  /** Milliseconds until another opening is due. */
  wait(): number
  /** Opens; the previous connection must be closed. Throws when the key store cannot be opened. */
  open(markOnline: boolean): void
  /** Gives the present connection `ms` from now to come through. */
  expect(ms: number): void
  /** It has come through. */
  through(): void
  /** Resolves when the connection is gone and all it received is reported. */
  close(): Promise<void>
  /** Unlinks the device over the present connection, or over one that is opened for just that; gives up quietly. */
  unlink(): Promise<void>
}

export function createLine(parts: LineParts): Line {
  const { clock, log } = parts
  let generation = 0
  let connection: Connection | null = null
  let isThrough = false
  let openedAt = Number.NEGATIVE_INFINITY
  let cancelDeadline = () => {}
  let onThrough: ((through: boolean) => void) | null = null

  /** True when the task was done in time. */
  const within = async (ms: number, what: string, task: Promise<void>): Promise<boolean> => {
    const late = new AbortController()
    const outcome = await Promise.race([
      task.then(
        () => 'done' as const,
        (error: unknown) => {
          log.warn(`${what} failed`, { error: error instanceof Error ? error.message : String(error) })
          return 'failed' as const
        },
      ),
      clock.sleep(ms, late.signal).then(
        () => 'late' as const,
        () => 'late' as const,
      ),
    ])
    late.abort()
    if (outcome === 'late') log.warn(`${what} took too long`, { ms })
    return outcome === 'done'
  }

  const line: Line = {
    get generation() {
      return generation
    },
    get connection() {
      return connection
    },
    wait: () => Math.max(0, openedAt + OPEN_SPACING - clock.monotonic()),
    open(markOnline) {
      if (connection) throw new Error('The previous connection is still there')
      generation += 1
      const mine = generation
      const vault = parts.vaults.open(parts.sessionId)
      openedAt = clock.monotonic()
      isThrough = false
      line.expect(CONNECT_DEADLINE)
      connection = parts.whatsapp.open(
        { sessionId: parts.sessionId, vault, markOnline, proxyUrl: parts.proxyUrl(), raw: parts.raw },
        (report) => {
          if (mine === generation && (report.kind === 'opened' || report.kind === 'closed')) {
            isThrough = report.kind === 'opened'
            onThrough?.(isThrough)
          }
          parts.onReport(mine, report)
        },
      )
    },
    expect(ms) {
      cancelDeadline()
      const mine = generation
      cancelDeadline = clock.after(ms, () => parts.onOverdue(mine))
    },
    through() {
      cancelDeadline()
    },
    async close() {
      cancelDeadline()
      generation += 1
      isThrough = false
      const ending = connection
      if (!ending) return
      await within(CLOSE_DEADLINE, 'Closing the connection', ending.close())
      connection = null
    },
    async unlink() {
      cancelDeadline()
      if (!isThrough) {
        await line.close()
        const through = new Promise<void>((resolve, reject) => {
          onThrough = (isOpen) => (isOpen ? resolve() : reject(new Error('WhatsApp did not let us in')))
        })
        line.open(false)
        cancelDeadline()
        const open = await within(UNLINK_DEADLINE, 'Connecting to unlink the device', through)
        onThrough = null
        if (!open) return line.close()
      }
      const ending = connection
      generation += 1
      if (ending) await within(UNLINK_DEADLINE, 'Unlinking the device', ending.logout())
      await line.close()
    },
  }
  return line
}
