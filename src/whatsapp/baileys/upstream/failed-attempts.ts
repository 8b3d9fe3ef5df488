/**
 * Upstream defect: libsignal tries a message on every session that it has with a person, the newest first, and an attempt
 * changes the session before it finds out that the message does not belong there. The changed session is stored along with
 * the right one. Whenever a new session was begun (Baileys begins one at each look-up of a person's devices) and a message
 * on the old one was still under way, the new one is broken: the person cannot read what we send, nor we the answers.
 *
 * Repair: a session is as it was before an attempt that failed.
 *
 * Upstream repaired it when the test named "upstream: …" of `failed-attempts.test.ts` fails.
 */

type Session = { pendingPreKey?: unknown; serialize(): unknown }
type Cipher = { doDecryptWhisperMessage(message: Uint8Array, session: Session | undefined): Promise<unknown> }

const cipher: Cipher = require('libsignal/src/session_cipher.js').prototype

let takeBack: (() => void) | null = null

/** Puts the repair in place for the whole process, once. Returns the way back. */
export function undoFailedAttempts(): () => void {
  if (takeBack) return takeBack
  const original = cipher.doDecryptWhisperMessage
  cipher.doDecryptWhisperMessage = async function (message, session) {
    const before = session?.serialize()
    try {
      return await original.call(this, message, session)
    } catch (error) {
      if (session) restore(session, before)
      throw error
    }
  }
  takeBack = () => {
    takeBack = null
    cipher.doDecryptWhisperMessage = original
  }
  return takeBack
}

function restore(session: Session, before: unknown): void {
  const { deserialize } = session.constructor as unknown as { deserialize(data: unknown): Session }
  delete session.pendingPreKey
  Object.assign(session, deserialize.call(session.constructor, before))
}
