/**
 * Upstream defect: a recipient who could not decrypt a message asks for it again, and Baileys answers from its memory of
 * the last minutes, with the words that have been replaced or taken back since.
 *
 * Repair: what is stored is sent again; memory serves only what was never stored, and nothing that was taken back.
 *
 * Upstream repaired it when the test named "upstream: …" of `retries.test.ts` fails.
 */
import { proto } from '@whiskeysockets/baileys'

/** The part of Baileys' retry manager that remembers. */
export type ResendMemory = {
  getRecentMessage(to: string, id: string): { message: proto.IMessage; timestamp: number } | undefined
}

/** Messages taken back that are remembered as such; Baileys itself remembers 512 messages. */
const REMEMBERED = 1_000

export interface StaleResends {
  /** A message was taken back, by us or by somebody else. */
  takenBack(messageId: string): void
}

/** `raw` gives what is stored under an id now. */
export function sendWhatIsStored(
  memory: ResendMemory | null | undefined,
  raw: (messageId: string) => Uint8Array | null,
): StaleResends {
  const gone = new Set<string>()
  if (memory) {
    const recent = memory.getRecentMessage.bind(memory)
    memory.getRecentMessage = (to, id) => {
      if (gone.has(id)) return undefined
      const stored = raw(id)
      return stored === null
        ? recent(to, id)
        : { message: proto.Message.decode(stored), timestamp: Date.now() }
    }
  }
  return {
    takenBack(messageId) {
      gone.add(messageId)
      const oldest = gone.size > REMEMBERED ? gone.values().next().value : undefined
      if (oldest !== undefined) gone.delete(oldest)
    },
  }
}
