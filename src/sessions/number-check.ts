/** Whether a phone number is on WhatsApp and in which form, asked once and remembered. */
import type { Connection, NumberLookup } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import { variantsOf } from './number-variants'

const REMEMBER = { found: 30 * 86_400_000, missing: 3_600_000 }
/** Numbers of one question; WhatsApp's own clients ask for whole address books in pieces of about this size. */
const PER_QUESTION = 200

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
  /** Asks for many in few questions, so that `check` knows them afterwards. */
  checkAll(connection: Connection | null, phoneNumbers: readonly string[]): Promise<void>
}

/** The look-ups of one session; callers who ask for the same number at the same time share one question. */
export function createNumberCheck(cache: NumberCache): NumberCheck {
  const asked = new Map<string, Promise<void>>()

  /** One question for these numbers in all their forms; never rejects. */
  const ask = async (connection: Connection, phoneNumbers: readonly string[]): Promise<void> => {
    const forms = phoneNumbers.map(variantsOf)
    try {
      const wanted = [...new Set(forms.flat())]
      const answers = await connection.lookUp(wanted)
      const byNumber = new Map(wanted.map((number, index) => [number, answers[index]]))
      for (const variants of forms) note(variants, byNumber)
    } catch {
      // The check spares a failed message; when it cannot be made, the message itself will tell.
    } finally {
      for (const number of phoneNumbers) asked.delete(number)
    }
  }

  /** Each form answers for itself; a form that WhatsApp does not know stands for the one that it does. */
  const note = (variants: readonly string[], byNumber: ReadonlyMap<string, NumberLookup | undefined>) => {
    const found = variants.map((number) => byNumber.get(number)).find((answer) => answer?.exists)
    for (const number of variants) {
      const own = byNumber.get(number)
      const answer = own?.exists ? own : (found ?? own)
      if (answer) cache.put(number, answer)
    }
  }

  const share = (connection: Connection, phoneNumbers: readonly string[]): Promise<void> => {
    const question = ask(connection, phoneNumbers)
    for (const number of phoneNumbers) asked.set(number, question)
    return question
  }

  return {
    async check(connection, phoneNumber) {
      const known = cache.get(phoneNumber)
      if (known || !connection) return known
      await (asked.get(phoneNumber) ?? share(connection, [phoneNumber]))
      return cache.get(phoneNumber)
    },
    async checkAll(connection, phoneNumbers) {
      if (!connection) return
      const unknown = [...new Set(phoneNumbers)].filter((number) => !cache.get(number))
      const fresh = unknown.filter((number) => !asked.has(number))
      const running = unknown.flatMap((number) => asked.get(number) ?? [])
      const pieces = Array.from({ length: Math.ceil(fresh.length / PER_QUESTION) }, (_, index) =>
        fresh.slice(index * PER_QUESTION, (index + 1) * PER_QUESTION),
      )
      await Promise.all([...running, ...pieces.map((piece) => share(connection, piece))])
    },
  }
}
