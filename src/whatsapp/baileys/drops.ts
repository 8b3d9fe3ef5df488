/** What came in and was dropped, counted for each session since the process began: its owner should see that somebody tries. */
import { proto, type WAMessage } from '@whiskeysockets/baileys'
import { DROP_REASONS, type Dropped, type DropReason } from '../../domain/whatsapp'
import { unwrap } from './content/wrappers'

export interface Drops {
  /** The counter of one session. */
  of(sessionId: string): { count(reason: DropReason, times?: number): void }
  seen(sessionId: string): Dropped
}

/** Sessions that are remembered; each costs four numbers. */
const MOST = 100_000

export const NOTHING_DROPPED = Object.fromEntries(DROP_REASONS.map((reason) => [reason, 0])) as Dropped

export function createDrops(): Drops {
  const counts = new Map<string, Dropped>()
  return {
    of: (sessionId) => ({
      count(reason, times = 1) {
        const before = counts.get(sessionId) ?? NOTHING_DROPPED
        const [oldest] = counts.keys()
        if (counts.size >= MOST && oldest !== undefined) counts.delete(oldest)
        counts.set(sessionId, { ...before, [reason]: before[reason] + times })
      },
    }),
    seen: (sessionId) => ({ ...(counts.get(sessionId) ?? NOTHING_DROPPED) }),
  }
}

const { Type } = proto.Message.ProtocolMessage
/**
 * What only our own devices have to say to us (CVE-2026-48063). Baileys drops them from anybody else since 7.0.0-rc12;
 * `hostile.test.ts` holds it to that.
 */
const OWN_DEVICES_ONLY: ReadonlySet<number> = new Set([
  Type.HISTORY_SYNC_NOTIFICATION,
  Type.APP_STATE_SYNC_KEY_SHARE,
  Type.LID_MIGRATION_MAPPING_SYNC,
  Type.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
])

/** A message of somebody else that pretends to come from our own phone. */
export function isForged({ key, message }: WAMessage): boolean {
  if (key.fromMe || !message) return false
  const { type } = unwrap(message).inner.protocolMessage ?? {}
  return typeof type === 'number' && OWN_DEVICES_ONLY.has(type)
}
