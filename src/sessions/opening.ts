/**
 * Opening a session's connection: spaced, on clean keys where the session has none of its own, and cancelled by whatever
 * command comes before it is due.
 */
import type { Vaults } from '../domain/ownership'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import type { Line } from './line'

export type OpeningParts = {
  line: Line
  vaults: Vaults
  clock: Clock
  log: Log
  session: () => Session
  /** The session takes part in anything at all. */
  isLive: () => boolean
  /** Runs work in the session's turn. */
  post: (task: () => Promise<void>) => void
  onFailure: (generation: number) => Promise<void>
}

export interface Opening {
  /** Opens now, or as soon as the spacing allows; the previous connection must be closed. */
  due(): Promise<void>
  /** Opens now if the session still wants to connect. */
  now(): Promise<void>
  cancel(): void
  /** The next opening is the handover that WhatsApp asks for after pairing: it does not wait. */
  handOver(isComing: boolean): void
  /** WhatsApp has linked the device: its keys stay although we have not heard the details yet. */
  keepKeys(): void
  /** Removes all keys, unless nothing was opened since the last time. */
  wipe(): Promise<void>
}

export function createOpening(parts: OpeningParts): Opening {
  const { line, session } = parts
  let handover = false
  /** The key store holds nothing, or nothing that must go before the next opening. */
  let isReady = false
  let cancelDue = () => {}

  const opening: Opening = {
    async due() {
      opening.cancel()
      const wait = handover ? 0 : line.wait()
      handover = false
      if (wait === 0) return opening.now()
      cancelDue = parts.clock.after(wait, () => parts.post(opening.now))
    },
    async now() {
      if (!parts.isLive() || session().state.status !== 'connecting' || line.connection) return
      try {
        // Left over by a pairing that was abandoned, or by a crash between clearing and wiping.
        if (session().credentials === 'none') await opening.wipe()
        isReady = false
        line.open(session().settings.markOnline)
      } catch (error) {
        parts.log.error('The key store cannot be opened', { error: String(error) })
        await parts.onFailure(line.generation)
      }
    },
    cancel() {
      cancelDue()
    },
    handOver(isComing) {
      handover = isComing
    },
    keepKeys() {
      isReady = true
    },
    async wipe() {
      if (isReady) return
      await parts.vaults.wipe(session().id)
      isReady = true
    },
  }
  return opening
}
