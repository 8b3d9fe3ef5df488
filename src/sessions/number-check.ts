/** Whether a phone number is on WhatsApp, asked once and remembered. */
import type { Connection, NumberLookup } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'

const REMEMBER = { found: 30 * 86_400_000, missing: 3_600_000 }

/** Answers shared by all sessions; the oldest make room. */
export interface NumberCache {
  get(phoneNumber: string): NumberLookup | null
  /** Keeps the answer under the number that was asked for; WhatsApp may answer with another form of it. */
  put(phoneNumber: string, answer: NumberLookup): void
}

export function createNumberCache(clock: Clock, capacity = 20_000): NumberCache {
  const known = new Map<string, { answer: NumberLookup; until: number }>()
  return {
    get(phoneNumber) {
      const entry = known.get(phoneNumber)
      if (entry && entry.until > clock.monotonic()) return entry.answer
      known.delete(phoneNumber)
      return null
    },
    put(phoneNumber, answer) {
      known.delete(phoneNumber)
      const oldest = known.keys().next().value
      if (known.size >= capacity && oldest !== undefined) known.delete(oldest)
      const until = clock.monotonic() + (answer.exists ? REMEMBER.found : REMEMBER.missing)
      known.set(phoneNumber, { answer, until })
    },
  }
}

export interface NumberCheck {
  /** Null when WhatsApp could not be asked. */
  check(connection: Connection | null, phoneNumber: string): Promise<NumberLookup | null>
}

/** The look-ups of one session; callers who ask for the same number at the same time share one question. */
export function createNumberCheck(cache: NumberCache): NumberCheck {
  const asked = new Map<string, Promise<NumberLookup | null>>()
  const ask = async (connection: Connection, phoneNumber: string): Promise<NumberLookup | null> => {
    try {
      const [answer] = await connection.lookUp([phoneNumber])
      if (answer) cache.put(phoneNumber, answer)
      return answer ?? null
    } catch {
      // The check spares a failed message; when it cannot be made, the message itself will tell.
      return null
    } finally {
      asked.delete(phoneNumber)
    }
  }
  return {
    async check(connection, phoneNumber) {
      const known = cache.get(phoneNumber)
      if (known || !connection) return known
      const running = asked.get(phoneNumber)
      if (running) return running
      const question = ask(connection, phoneNumber)
      asked.set(phoneNumber, question)
      return question
    },
  }
}
