/**
 * Votes and other additions that came before the message they are sealed with: WhatsApp keeps the order of a chat, but a poll
 * that had to be asked for again comes after its first votes. They wait for it, on disk like every stanza that is not done.
 */
import type { proto } from '@whiskeysockets/baileys'
import type { Clock } from '../../lib/clock'
import { unwrap } from './content/wrappers'

/** How long one waits (ms); asking for a message again takes seconds. */
export const WAIT_MS = 60_000
/** How many wait at a time; the oldest make room. */
const MOST = 200

export interface BeforeTarget {
  /** Keeps something until `targetId` has arrived, or does not come; then it is told. */
  wait(targetId: string, tell: () => void): void
  /** A message is here: whatever has waited for it is told. */
  arrived(messageId: string): void
  /** Nothing is told any more; what waits comes again with the next connection. */
  stop(): void
}

/** Makes the place in which they wait. */
export function createBeforeTarget(clock: Clock): BeforeTarget {
  const waiting = new Map<() => void, { targetId: string; cancel: () => void }>()

  const release = (tell: () => void) => {
    waiting.get(tell)?.cancel()
    waiting.delete(tell)
    tell()
  }
  return {
    wait(targetId, tell) {
      const [oldest] = waiting.keys()
      if (waiting.size >= MOST && oldest) release(oldest)
      waiting.set(tell, { targetId, cancel: clock.after(WAIT_MS, () => release(tell)) })
    },
    arrived(messageId) {
      for (const [tell, { targetId }] of [...waiting]) if (targetId === messageId) release(tell)
    },
    stop() {
      for (const { cancel } of waiting.values()) cancel()
      waiting.clear()
    },
  }
}

type Sealed = { encPayload?: Uint8Array | null; encIv?: Uint8Array | null }
const isSealed = (part: Sealed | null | undefined): boolean =>
  Boolean(part?.encPayload?.length && part.encIv?.length)

/** The message whose secret opens this one; null when nothing in it is sealed so. */
export function sealedWith(message: proto.IMessage): string | null {
  const { pollUpdateMessage, encReactionMessage, encEventResponseMessage, encCommentMessage } =
    unwrap(message).inner
  const parts = [
    [pollUpdateMessage?.vote, pollUpdateMessage?.pollCreationMessageKey],
    [encReactionMessage, encReactionMessage?.targetMessageKey],
    [encEventResponseMessage, encEventResponseMessage?.eventCreationMessageKey],
    [encCommentMessage, encCommentMessage?.targetMessageKey],
  ] as const
  return parts.find(([part]) => isSealed(part))?.[1]?.id || null
}
