/**
 * Many messages at once: each is judged by itself, numbers are looked up in few questions, a file that several share is
 * fetched once, and what is good is committed together.
 */

import type { FileAsk } from '../../domain/content-media'
import { AppError } from '../../domain/errors'
import type { MessageId } from '../../domain/ids'
import { type FetchedPreview, type MediaDesk, originOf, type StagedFile } from '../../domain/media'
import type { Identities, Message, StoredMessage } from '../../domain/message'
import type { BulkOutcome, SendRequest, WaitLevel } from '../../domain/sending'
import type { Session } from '../../domain/session'
import type { Connection } from '../../domain/whatsapp'
import type { Log } from '../../lib/log'
import type { NumberCheck } from '../number-check'
import { createTurnstile } from '../turnstile'
import type { Acceptance, Taken } from './acceptance'
import { type Addressed, addressed, numbersOf } from './addressing'
import type { Admission } from './admission'
import { type CarryingParts, carried, carriedOver } from './carrying'
import { type composed as compose, composed } from './compose'
import { discardAll, gathered, NOTHING, needsGathering, type Sources, stagedOwn } from './gathering'

/** Files that are made ready at the same time. */
const STAGINGS = 4
/** Entries that are judged before the event loop gets its turn. */
const PER_TURN = 50
/** With files, entries that are committed together: the first need not wait for the last file. */
const PER_COMMIT = 50

export type BulkParts = CarryingParts & {
  session: () => Session
  connection: () => Connection | null
  identities: Identities
  numbers: NumberCheck
  desk: MediaDesk
  log: Log
  admission: Admission
  acceptance: Acceptance
  composing: Parameters<typeof compose>[0]
  /** Resolves when the message has come so far, rejects when it has failed or time is over. */
  come: (message: Message, level: WaitLevel, ms: number) => Promise<Message>
  /** The message that was taken before under this id. */
  earlier: (id: MessageId) => { message: StoredMessage } | null
  answersAtOnce: (request: SendRequest) => boolean
  countOf: (request: SendRequest) => number
}

type Options = { queue: boolean; waitMs: number }

type Source = Sources & {
  stage: (ask: FileAsk) => Promise<StagedFile>
  carry: (message: StoredMessage) => Promise<StagedFile>
  /** Everything that was made ready. */
  all: Set<StagedFile>
}

/** An entry on its way. */
type Entry = { at: number; request: SendRequest; addressed: Addressed }
type Made = Entry & { composed: ReturnType<typeof composed>; staged: StagedFile[] }

export interface Bulk {
  sendMany(requests: readonly SendRequest[], options: Options): Promise<BulkOutcome[]>
}

export function createBulk(parts: BulkParts): Bulk {
  const { session, messages, desk, admission, acceptance, log } = parts

  const refusal = (error: unknown): BulkOutcome => {
    if (error instanceof AppError) {
      const { code, message: says, details } = error
      return { ok: false, code, says, ...(details ? { details } : {}) }
    }
    log.error('An entry of a bulk could not be taken', { error: String(error) })
    return { ok: false, code: 'INTERNAL_ERROR', says: 'Internal error' }
  }

  /** Lets one entry's trouble be its own. */
  const judged = async <T>(
    at: number,
    outcomes: BulkOutcome[],
    task: () => Promise<T> | T,
  ): Promise<T | null> => {
    try {
      return await task()
    } catch (error) {
      outcomes[at] = refusal(error)
      return null
    }
  }

  /** Files and link previews of this bulk, each fetched once however many entries want it. */
  const sharing = (): Source => {
    const owner = { tenantId: session().tenantId, sessionId: session().id }
    const few = createTurnstile(STAGINGS)
    const known = new Map<string, Promise<StagedFile>>()
    const previews = new Map<string, Promise<FetchedPreview | null>>()
    const all = new Set<StagedFile>()
    const once = (key: string | null, make: () => Promise<StagedFile>): Promise<StagedFile> => {
      const before = key === null ? undefined : known.get(key)
      if (before) return before
      const staged = few(async () => {
        const file = await make()
        all.add(file)
        return file
      })
      if (key !== null) known.set(key, staged)
      return staged
    }
    return {
      all,
      stage: (ask) => once(keyOf(ask), () => stagedOwn(parts, owner, ask)),
      carry: (message) => once(`forward ${message.id}`, () => carried(parts, message)),
      preview(url) {
        const preview = previews.get(url) ?? few(() => desk.preview(owner.sessionId, url))
        previews.set(url, preview)
        return preview
      },
      // Others may still need it; whatever nobody has taken goes at the end.
      discard: async () => undefined,
    }
  }

  const addressedAll = async (
    requests: Map<number, SendRequest>,
    outcomes: BulkOutcome[],
  ): Promise<Entry[]> => {
    const now = session()
    const connection = parts.connection()
    await parts.numbers.checkAll(connection, numbersOf(parts, now, [...requests.values()]))
    const entries: Entry[] = []
    for (const [at, request] of requests) {
      if (at % PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
      const address = await judged(at, outcomes, async () => {
        const found = await addressed(parts, now, connection, request)
        admission.refuseNewChat(found.chat, request)
        return found
      })
      if (address) entries.push({ at, request, addressed: address })
    }
    return entries
  }

  /** Gathers, composes and commits these entries; resolves with those that are taken. */
  const takeAll = async (
    entries: readonly Entry[],
    source: Source,
    outcomes: BulkOutcome[],
    atOnce: boolean,
  ): Promise<Made[]> => {
    const made = await Promise.all(
      entries.map((entry) =>
        judged(entry.at, outcomes, async (): Promise<Made> => {
          const { request } = entry
          const over = carriedOver(parts, session(), request.ask, entry.addressed.chat)
          const got = over
            ? { staged: [await source.carry(over)], preview: null }
            : needsGathering(request.ask)
              ? await gathered(source, request.ask, source.stage)
              : NOTHING
          const draft = { session: session(), request, addressed: entry.addressed, gathered: got }
          return { ...entry, composed: composed(parts.composing, draft), staged: got.staged }
        }),
      ),
    )
    const good = made.filter((one) => one !== null)
    if (good.length === 0) return []
    admission.stillThere()
    const taken: Taken[] = good.map((one) => ({ composed: one.composed, learned: one.addressed.learned }))
    await acceptance.take(session(), taken, atOnce)
    return good
  }

  return {
    async sendMany(requests, { queue, waitMs }) {
      const outcomes: BulkOutcome[] = []
      const fresh = new Map<number, SendRequest>()
      const waiting: { at: number; message: Message }[] = []
      for (const [at, request] of requests.entries()) {
        const before = request.id === undefined ? null : parts.earlier(request.id)
        if (!before) {
          fresh.set(at, { ...request, queue })
          continue
        }
        outcomes[at] = { ok: true, message: before.message, party: before.message.chatParty }
        if (before.message.status === 'queued') waiting.push({ at, message: before.message })
      }
      const count = [...fresh.values()].reduce((sum, request) => sum + parts.countOf(request), 0)
      // A repetition of all of it asks for nothing that a session would have to be there for.
      if (count > 0) admission.enter(count, queue)
      const kept = new Set<StagedFile>()
      const source = sharing()
      try {
        const entries = await addressedAll(fresh, outcomes)
        const hasFiles = entries.some(({ request }) => needsGathering(request.ask))
        const size = hasFiles ? PER_COMMIT : Math.max(1, entries.length)
        for (let from = 0; from < entries.length; from += size) {
          const good = await takeAll(entries.slice(from, from + size), source, outcomes, false)
          for (const one of good) {
            for (const file of one.staged) kept.add(file)
            const [own] = one.composed
            if (!own) continue
            outcomes[one.at] = { ok: true, message: own.message, party: own.party }
            if (!parts.answersAtOnce(one.request)) waiting.push({ at: one.at, message: own.message })
          }
        }
      } finally {
        admission.leave(count)
        await discardAll(
          desk,
          [...source.all].filter((file) => !kept.has(file)),
        )
      }
      if (!queue) await Promise.all(waiting.map(({ at, message }) => settled(outcomes, at, message, waitMs)))
      return outcomes
    },
  }

  /** Waits for one entry and puts down what has become of it. */
  async function settled(
    outcomes: BulkOutcome[],
    at: number,
    message: Message,
    waitMs: number,
  ): Promise<void> {
    const before = outcomes[at]
    if (!before?.ok) return
    const reached = await parts.come(message, 'server', waitMs).catch(() => null)
    outcomes[at] = { ...before, message: reached ?? messages.get(message.sessionId, message.id) ?? message }
  }
}

/** What makes two asks want the same file; null for bytes that stand in the ask itself. */
function keyOf(ask: FileAsk): string | null {
  const origin = originOf(ask)
  if (!origin || origin.from === 'base64') return null
  const { caption: _, viewOnce: __, ...file } = ask as FileAsk & { caption?: string; viewOnce?: boolean }
  return JSON.stringify(file)
}
