/**
 * Sending: checked, on disk as `queued`, written to WhatsApp, `sent` once its server has acknowledged.
 *
 * The message id is fixed before the first try and is kept by every further one, so a message whose fate is unknown
 * (time-out, lost connection, crash) is sent again without anybody seeing it twice. Messages of one chat go one after
 * another; chats do not wait for each other. A message that WhatsApp does not confirm on a living connection stays in the
 * queue and lets the next one pass.
 *
 * The way of a request: admission, addressing, gathering, compose, acceptance; then the queue, a turn, an ending.
 */
import type { Fact } from '../../domain/changes'
import { fail } from '../../domain/errors'
import type { Jid, MessageId } from '../../domain/ids'
import type { StagedFile } from '../../domain/media'
import type { Message, MessageStatus, StoredMessage } from '../../domain/message'
import type { BulkOutcome, Examined, QueueState, SendRequest, Sent, WaitLevel } from '../../domain/sending'
import { type Acceptance, createAcceptance } from './acceptance'
import { addressed } from './addressing'
import { createAdmission } from './admission'
import { createAttachments } from './attachments'
import { createBulk } from './bulk'
import { carried, carriedOver } from './carrying'
import { type Composed, composed, itemId, TIME_TO_LIVE } from './compose'
import { createEndings, failureOf } from './endings'
import { createExaminer } from './examine'
import { discardAll, gathered, NOTHING, needsGathering, stagedOwn } from './gathering'
import { createPacer } from './pacing'
import type { SendingParts } from './parts'
import { createQueue, type Progress, type SendQueue } from './queue'
import { createTurns } from './turn'
import { createVanishing } from './vanishing'
import { createVolumeWatch } from './volume'
import { createWaits } from './waits'

export interface Sending {
  send(request: SendRequest): Promise<Sent>
  sendMany(
    requests: readonly SendRequest[],
    options: { queue: boolean; waitMs: number },
  ): Promise<BulkOutcome[]>
  examine(request: SendRequest): Promise<Examined>
  /** Calls a message back that is not on the wire; an album with all its items. */
  cancel(id: MessageId): Promise<Message>
  queueState(): QueueState
  progress(): Progress
  /** Takes up what the last process has left; call it once, before anything else. */
  start(): void
  /** The session is connected: everything that waits for that goes out, oldest first. */
  resume(): void
  /** Settings that hold the queue may have changed. */
  wake(): void
  /** The session does not come back by itself: callers are told that their messages wait. */
  pause(): void
  /** WhatsApp has told how far these messages have come, by another way than the answer to our sending. */
  reached(statuses: readonly { messageId: MessageId; status: MessageStatus; at: number }[]): void
  /** Messages have come in, or were sent from the phone. */
  noted(messages: readonly Message[]): void
  /** A chat was set to let its messages vanish after so many seconds; 0 = they stay. */
  vanishes(chat: Jid, seconds: number): void
  /** One of the latest that were sent, as it is on disk, without its encoded form. */
  recent(id: string): StoredMessage | null
  /** What is to be told of the messages that wait, when the session is removed. */
  unsent(): Fact[]
  /** The session is removed: whoever waits is told. */
  end(): void
  /** The process ends; what waits is on disk. */
  stop(): void
}

/** Messages that one request becomes. */
const countOf = ({ ask }: SendRequest): number => (ask.type === 'album' ? 1 + ask.items.length : 1)

export function createSending(parts: SendingParts): Sending {
  const { messages, ledger, desk, files, restriction, clock, log, limits, places } = parts
  const { session, connection, isGone } = parts
  const sessionId = session().id
  const queueOf = (): SendQueue => queue
  const waits = createWaits(clock)
  const settings = () => session().settings
  const plan = () => limits.planOf?.(session().tenantId)
  const mostPerMinute = () => plan()?.messages ?? null
  const mostQueued = () => Math.min(limits.maxQueue, plan()?.queue ?? Number.POSITIVE_INFINITY)
  const pacer = createPacer({ settings, mostPerMinute, clock, random: parts.random })
  const volume = createVolumeWatch({ session, messages, clock, limit: limits.volumeAlert ?? 0 })
  const vanishing = createVanishing(messages, sessionId)
  const attachments = createAttachments({
    files,
    whatsapp: parts.whatsapp,
    ledger,
    clock,
    log,
    keptMs: limits.mediaKeptMs,
  })
  const endings = createEndings({
    session,
    isGone,
    messages,
    ledger,
    places,
    waits,
    attachments,
    volume,
    queue: queueOf,
    clock,
  })
  const turns = createTurns({
    session,
    connection,
    messages,
    restriction,
    attachments,
    endings,
    pacer,
    queue: queueOf,
    clock,
    log,
  })
  const queue = createQueue({
    clock,
    pacer,
    isConnected: () => connection() !== null,
    isPaused: () => settings().queuePaused,
    turn: turns.run,
    expire: (entry) => void endings.expired(entry),
  })
  const admission = createAdmission({ session, connection, isGone, restriction, queue, clock, mostQueued })
  const acceptance: Acceptance = createAcceptance({ ledger, places, queue, attachments, vanishing })
  const composing = { whatsapp: parts.whatsapp, messages, clock, vanishing: vanishing.of }

  /** The messages of a request that was taken before under the same id. */
  const earlier = (id: MessageId): { message: StoredMessage; items: Message[] } | null => {
    const message = messages.get(sessionId, id)
    if (!message?.fromMe) return null
    const { content } = message
    const count = content.type === 'album' ? content.images + content.videos : 0
    const items = Array.from({ length: count }, (_, index) => messages.get(sessionId, itemId(id, index)))
    return { message, items: items.filter((item) => item !== null) }
  }

  /** Waits for one that may have come to its end already. */
  const come = (message: Message, level: WaitLevel, ms: number): Promise<Message> => {
    if (queue.find(message.id)) return waits.until(message, level, ms)
    const ended = messages.get(sessionId, message.id)
    if (ended?.status === 'failed') return Promise.reject(failureOf(ended))
    return ended ? waits.until(ended, level, ms) : Promise.reject(fail('STORAGE_UNAVAILABLE'))
  }

  /** Waits for all of them; what has failed is told of the first that has. */
  const outcomeOf = async (request: SendRequest, sent: Sent): Promise<Sent> => {
    const level = request.waitFor ?? 'server'
    const ms = request.waitMs ?? limits.ackTimeoutMs
    if (sent.items.length === 0) return { ...sent, message: await come(sent.message, level, ms) }
    const all = [sent.message, ...sent.items].map((one) => come(one, level, ms))
    const [message = sent.message, ...items] = await Promise.all(all)
    return { ...sent, message, items }
  }

  const again = (request: SendRequest, { message, items }: { message: StoredMessage; items: Message[] }) => {
    const failed = [message, ...items].find(({ status }) => status === 'failed')
    if (failed) throw failureOf(failed)
    const sent: Sent = { message, party: message.chatParty, items }
    return answersAtOnce(request) ? sent : outcomeOf(request, sent)
  }

  /** Accepted is all that this caller wants to know, or can. */
  const answersAtOnce = ({ queue: asked, sendAt }: SendRequest): boolean =>
    asked === true || sendAt !== undefined || settings().queuePaused

  /** The disk has refused what was lined up already: whoever waits for it is told. */
  const unstored = (made: readonly Composed[], staged: readonly StagedFile[], error: Error) => {
    for (const { message } of made) waits.fail(message.id, error)
    void discardAll(desk, staged)
  }

  /** From the request to its messages in the queue; when it rejects nothing is left of it. */
  const pages = { discard: desk.discard, preview: (url: string) => desk.preview(sessionId, url) }

  const accepted = async (request: SendRequest, atOnce: boolean): Promise<Sent> => {
    const count = countOf(request)
    const now = admission.enter(count, request.queue === true || request.sendAt !== undefined)
    try {
      const address = await addressed(parts, now, connection(), request)
      admission.refuseNewChat(address.chat, request)
      const over = carriedOver(parts, now, request.ask, address.chat)
      const got = over
        ? { staged: [await carried(parts, over)], preview: null }
        : needsGathering(request.ask)
          ? await gathered(pages, request.ask, (ask) =>
              stagedOwn({ desk, files }, { tenantId: now.tenantId, sessionId }, ask),
            )
          : NOTHING
      try {
        admission.stillThere()
        const of = { session: session(), request, addressed: address, gathered: got }
        const made = composed(composing, of)
        const [message, ...items] = made.map((one) => one.message)
        if (!message) throw new Error('A request has become no message')
        const taken = [{ composed: made, learned: address.learned }]
        const stored = acceptance.take(session(), taken, !atOnce)
        if (atOnce) await stored
        else stored.catch((error: Error) => unstored(made, got.staged, error))
        return { message, party: address.party, items }
      } catch (error) {
        await discardAll(desk, got.staged)
        throw error
      }
    } finally {
      admission.leave(count)
    }
  }

  const bulk = createBulk({
    ...parts,
    admission,
    acceptance,
    composing,
    come,
    earlier,
    answersAtOnce,
    countOf,
  })
  const examiner = createExaminer({ ...parts, admission, countOf })

  const load = () => {
    const waiting = messages.queued(sessionId)
    const isEarly = ({ schedule }: Message) => (schedule?.sendAt ?? null) !== null
    const early = waiting
      .filter(isEarly)
      .sort((a, b) => (a.schedule?.sendAt ?? 0) - (b.schedule?.sendAt ?? 0))
    for (const message of [...waiting.filter((one) => !isEarly(one)), ...early]) {
      if (message.attachment !== null) attachments.expect(message.attachment)
      queue.add({
        id: message.id,
        chat: message.chat,
        albumId: message.context.albumId ?? null,
        sendAt: message.schedule?.sendAt ?? null,
        expiresAt: message.schedule?.expiresAt ?? message.timestamp + TIME_TO_LIVE,
        attachment: message.attachment,
        ready: null,
      })
    }
  }

  return {
    async send(request) {
      const before = request.id === undefined ? null : earlier(request.id)
      if (before) return again(request, before)
      const atOnce = answersAtOnce(request)
      const sent = await accepted(request, atOnce)
      return atOnce ? sent : outcomeOf(request, sent)
    },
    sendMany: bulk.sendMany,
    examine: examiner.examine,
    async cancel(id) {
      const entry = queue.find(id)
      if (!entry) {
        const message = messages.get(sessionId, id)
        if (!message?.fromMe) throw fail('MESSAGE_NOT_FOUND', { messageId: id })
        throw fail('MESSAGE_NOT_QUEUED', { messageId: id, status: message.status })
      }
      if (entry.mayHaveLeft || !queue.withdraw(entry))
        throw fail('MESSAGE_NOT_QUEUED', { messageId: id, status: 'queued', reason: 'It is being sent' })
      const items = [...queue.entries()].filter(
        (one) => one.albumId === id && !one.mayHaveLeft && queue.withdraw(one),
      )
      await endings.cancelled([entry, ...items])
      const message = messages.get(sessionId, id)
      if (!message) throw fail('MESSAGE_NOT_FOUND', { messageId: id })
      return message
    },
    queueState: queue.state,
    progress: queue.progress,
    start() {
      try {
        load()
      } catch (error) {
        // Its messages stay where they are; the session itself can do without them.
        log.error('The send queue cannot be read', { error: String(error) })
      }
    },
    resume() {
      restriction.resume()
      queue.resume()
    },
    wake: queue.wake,
    pause: waits.giveUp,
    reached(statuses) {
      for (const { messageId, status, at } of statuses) {
        turns.arrived(messageId)
        const entry = queue.find(messageId)
        // On disk it has left the queue already; one in its turn ends that by itself.
        if (entry && entry.place !== 'turn') {
          attachments.release(entry)
          queue.forget(messageId)
        }
        waits.reached(messageId, status, at)
      }
    },
    noted(incoming) {
      for (const message of incoming) vanishing.note(message)
    },
    vanishes: vanishing.set,
    recent: endings.recent,
    unsent() {
      const why = { code: 'SESSION_NOT_FOUND', says: 'The session was deleted' }
      return messages.queued(sessionId).map((message) => endings.fact(message, message.chatParty, why))
    },
    end() {
      queue.stop()
      waits.end((id) => fail('SESSION_NOT_FOUND', { messageId: id }))
    },
    stop() {
      queue.stop()
      waits.giveUp()
    },
  }
}
