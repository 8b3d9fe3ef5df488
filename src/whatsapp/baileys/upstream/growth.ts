/**
 * Upstream defect: Signal records grow without bound and are rewritten with every message.
 *
 * - A session keeps every receiving chain it ever closed (~105 bytes per change of direction).
 * - Baileys' group cipher skips one iteration per message it sends and keeps the skipped key, at both ends
 *   (~167 bytes per message, up to 2 000 of them, per group and sender).
 * - It writes those keys as lists of numbers and reads them back as something its own cipher refuses, so a group message
 *   that comes late can never be read.
 *
 * Repair, on the way to the store: bytes are written as base64, which Baileys reads back as bytes. Closed receiving
 * chains without waiting keys are dropped but the newest five. A sender key of our own (it has the private signing key)
 * keeps no message keys, for we never decrypt ourselves; another's keeps the newest 256.
 *
 * Upstream repaired it when the tests named "upstream: …" of `growth.test.ts` fail.
 */
import { fromJson, toJson } from '../key-codec'

const RECEIVING = 2
export const KEPT_CLOSED_CHAINS = 5
export const KEPT_SENDER_MESSAGE_KEYS = 256

type Chain = {
  chainKey: { counter: number; key?: unknown }
  chainType: number
  messageKeys: Record<string, unknown>
}
type SessionRecord = { _sessions?: Record<string, { _chains?: Record<string, Chain> }> }

/** The same session record without spent chains; the argument is left as it is. */
export function pruneSession<T>(record: T): T {
  const sessions = (record as SessionRecord | null)?._sessions
  if (sessions === undefined) return record
  let changed = false
  const kept = Object.entries(sessions).map(([baseKey, session]) => {
    const chains = Object.entries(session._chains ?? {})
    const spent = chains.filter(([, chain]) => isSpent(chain)).map(([key]) => key)
    if (spent.length <= KEPT_CLOSED_CHAINS) return [baseKey, session] as const
    changed = true
    const dropped = new Set(spent.slice(0, -KEPT_CLOSED_CHAINS))
    return [
      baseKey,
      { ...session, _chains: Object.fromEntries(chains.filter(([key]) => !dropped.has(key))) },
    ] as const
  })
  return changed ? ({ ...record, _sessions: Object.fromEntries(kept) } as T) : record
}

/** Chains stand in the order of their making, so the last spent ones are the newest. */
const isSpent = (chain: Chain): boolean =>
  chain.chainType === RECEIVING && !chain.chainKey.key && Object.keys(chain.messageKeys).length === 0

type SenderKeyState = { senderSigningKey?: { private?: Uint8Array }; senderMessageKeys?: unknown[] }

/** The same sender-key record (UTF-8 JSON) without message keys that nobody will ask for, its bytes as base64. */
export function pruneSenderKey(record: Uint8Array): Uint8Array {
  const states = fromJson(Buffer.from(record).toString('utf8'))
  if (!Array.isArray(states)) return record
  const kept = (states as SenderKeyState[]).map((state) => {
    const isOwn = (state.senderSigningKey?.private?.length ?? 0) > 0
    const keys = isOwn ? [] : (state.senderMessageKeys ?? []).slice(-KEPT_SENDER_MESSAGE_KEYS)
    return { ...state, senderMessageKeys: keys }
  })
  return Buffer.from(toJson(kept), 'utf8')
}
