/**
 * One session at work: commands, timers and reports go through one mailbox; each is decided, committed, and only then
 * acted on.
 *
 * Reports that wait are taken together and committed at once. What a connection of an older generation says about the
 * session's life is dropped; messages it still hands over while it is being closed are kept, for WhatsApp has been told
 * that we have them.
 */
import type { Fact, Ledger } from '../domain/changes'
import type { CloseReason } from '../domain/close-reasons'
import { AppError, fail } from '../domain/errors'
import type { NewEvent } from '../domain/events'
import type { Journal } from '../domain/journal'
import type { Messages } from '../domain/message'
import type { Vaults } from '../domain/ownership'
import type { Session } from '../domain/session'
import { type Decision, decide, type Effect, type Input } from '../domain/session-life'
import type { Connection, Report, WhatsApp } from '../domain/whatsapp'
import { type Clock, isoTime } from '../lib/clock'
import type { Log } from '../lib/log'
import { createMailbox, MailboxClosed } from '../lib/mailbox'
import { CONNECT_DEADLINE, createLine } from './line'
import { comesBack } from './not-connected'
import type { NumberHolders } from './one-number'
import { sessionEvent } from './payload'
import { qrDataUrl } from './qr-image'
import { factsOf, type LifeReport, momentaryEvent } from './recorder'
import type { Sending } from './sending'
import type { SessionCommand } from './supervisor'

/** Facts of one commit. */
const BATCH = 500
/** Activity is written along with other facts, at most this often (ms) … */
const ACTIVITY_WITH_FACTS = 5_000
/** … and by itself, when nothing but signs of life arrive, this often (ms). */
const ACTIVITY_ALONE = 30_000
/** Pause before a due retry that could not be committed is tried again (ms). */
const STORAGE_PAUSE = 5_000

export type LiveSessionParts = {
  session: Session
  whatsapp: WhatsApp
  messages: Messages
  vaults: Vaults
  ledger: Ledger
  journal: Journal
  holders: NumberHolders
  clock: Clock
  random: () => number
  log: Log
  qrMaxWindows: number
  /** Makes the sender of this session. */
  sending: (of: {
    session: () => Session
    connection: () => Connection | null
    isGone: () => boolean
  }) => Sending
}

export interface LiveSession {
  readonly sending: Sending
  /** Why nothing can be asked of it any more; null while it lives. */
  readonly ended: 'SESSION_NOT_FOUND' | 'SHUTTING_DOWN' | null
  /** The session as it stands, with the newest activity. */
  view(): Session
  /** The connection of the present pairing window or login, null when there is none. */
  connection(): Connection | null
  /** Resolves with the session once the command is on disk; the effects follow. */
  command(command: SessionCommand | 'resume'): Promise<Session>
  /** Changes name, description or settings; the events tell of it when `change` gives another session. */
  edit(change: (session: Session) => { session: Session; events: NewEvent[] } | null): Promise<Session>
  /** Unlinks, removes everything, and lets nothing in any more. */
  remove(): Promise<void>
  /** Closes the connection and writes what came; the state stays, so that the next process resumes it. */
  shutDown(): Promise<void>
  /** Calls back after each change of the state; returns how to leave. */
  onChange(listener: () => void): () => void
}

type Waiting = { generation: number; report: Report }

const isLife = (report: Report): report is LifeReport =>
  report.kind === 'qr' || report.kind === 'paired' || report.kind === 'opened' || report.kind === 'closed'

/** Reports that show that a slow login makes progress. */
const PROGRESS = new Set<Report['kind']>(['messages', 'handled', 'history'])

const inputOf = (report: LifeReport): Input => {
  switch (report.kind) {
    case 'qr':
      return { on: 'qr', text: report.text, expiresAt: report.expiresAt }
    case 'paired':
      return { on: 'paired', me: report.me }
    case 'opened':
      return { on: 'opened', me: report.me, clientVersion: report.clientVersion }
    case 'closed':
      return { on: 'closed', why: report.why }
  }
}

export function createLiveSession(parts: LiveSessionParts): LiveSession {
  const { clock, ledger, journal, holders } = parts
  const log = parts.log.with({ sessionId: parts.session.id })
  const mailbox = createMailbox()
  const listeners = new Set<() => void>()
  let session = parts.session
  let lastActivity = session.lastActivity
  let activityWritten = Number.NEGATIVE_INFINITY
  let pending: Waiting[] = []
  let draining = false
  let phase: 'live' | 'stopping' | 'gone' = 'live'
  /** Set by pairing: the next opening is the handover that WhatsApp asks for. */
  let handover = false
  /** The key store holds nothing of an earlier link or pairing. */
  let isClean = false
  /** Events of decisions that could not be committed when they were taken. */
  let owed: NewEvent[] = []
  let cancelOpening = () => {}
  let cancelRetry = () => {}

  const line = createLine({
    whatsapp: parts.whatsapp,
    vaults: parts.vaults,
    clock,
    log,
    sessionId: session.id,
    raw: (messageId) => parts.messages.raw(session.id, messageId),
    onReport: (generation, report) => take(generation, report),
    onOverdue: (generation) =>
      post(() =>
        session.state.status === 'qr_generated' && session.credentials === 'none'
          ? endBy(generation, 'qr_timeout', 'The last code has run out and no other came')
          : endBy(generation, 'connection_lost', 'WhatsApp did not let the connection through in time'),
      ),
  })

  const sending = parts.sending({
    session: () => session,
    isGone: () => phase === 'gone',
    connection: () => (session.state.status === 'connected' && phase === 'live' ? line.connection : null),
  })

  const context = () => ({ now: clock.now(), random: parts.random, qrMaxWindows: parts.qrMaxWindows })
  const view = (): Session => (lastActivity === session.lastActivity ? session : { ...session, lastActivity })

  /** Posts work that nobody waits for. */
  const post = (task: () => Promise<void>) => {
    mailbox.run(task).catch((error: unknown) => {
      if (error instanceof MailboxClosed) return
      log.error('A session has failed at its own work', { error: String(error) })
    })
  }

  const commit = async (facts: readonly Fact[]) => {
    const late: Fact[] = owed.length === 0 ? [] : [{ change: { kind: 'told' }, events: owed }]
    await ledger.commit([...late, ...facts])
    if (late.length > 0) owed = []
  }

  const changed = (next: Session, events: readonly NewEvent[]): Fact => ({
    change: { kind: 'session_changed', session: { ...next, lastActivity } },
    events,
  })

  /** Takes over a session that is on disk (or could not be put there). */
  const adopt = (next: Session) => {
    const { status } = session.state
    const left = status !== next.state.status
    session = next
    if (next.lastActivity !== null) lastActivity = Math.max(lastActivity ?? 0, next.lastActivity)
    holders.note(next)
    if (left) {
      cancelRetry()
      cancelOpening()
      if (next.state.status === 'connected') line.through()
    }
    if (next.state.status === 'inactive' || next.state.status === 'disconnected') handover = false
    if (!comesBack(next)) sending.pause()
    for (const listener of [...listeners]) listener()
  }

  const arm = (at: number) => {
    cancelRetry()
    cancelRetry = clock.after(Math.max(0, at - clock.now()), () =>
      post(async () => {
        const outcome = decide(session, { on: 'retry_due' }, context())
        if (typeof outcome === 'string' || phase !== 'live') return
        try {
          await commit([changed(outcome.session, outcome.events)])
        } catch (error) {
          log.error('A retry waits for the storage', { error: String(error) })
          arm(clock.now() + STORAGE_PAUSE)
          return
        }
        adopt(outcome.session)
        await act(outcome.effects)
      }),
    )
  }

  /** Opens now or as soon as the spacing allows; any command in between cancels it. */
  const open = async () => {
    cancelOpening()
    await closeLine()
    const wait = handover ? 0 : line.wait()
    handover = false
    if (wait > 0) {
      cancelOpening = clock.after(wait, () => post(openNow))
      return
    }
    await openNow()
  }

  const openNow = async () => {
    if (phase !== 'live' || session.state.status !== 'connecting' || line.connection) return
    try {
      // Left over by a pairing that was abandoned, or by a crash between clearing and wiping.
      if (session.credentials === 'none') await wipe()
      isClean = false
      line.open(session.settings.markOnline)
    } catch (error) {
      log.error('The key store cannot be opened', { error: String(error) })
      await endBy(line.generation, 'storage_failed', 'The key store cannot be opened')
    }
  }

  const closeLine = async () => {
    await line.close()
    await record()
  }

  const wipe = async () => {
    if (isClean) return
    await parts.vaults.wipe(session.id)
    isClean = true
  }

  const act = async (effects: readonly Effect[]) => {
    for (const effect of effects) {
      if (typeof effect === 'object') {
        arm(effect.retryAt)
        continue
      }
      switch (effect) {
        case 'logout':
          isClean = false
          await unlink()
          break
        case 'close':
          await closeLine()
          break
        case 'wipe':
          // When it fails, the next opening wipes before anything else: the session has no credentials any more.
          await wipe().catch((error: unknown) => log.error('Keys wait to be wiped', { error: String(error) }))
          break
        case 'open':
          await open()
          break
      }
    }
  }

  const unlink = async () => {
    try {
      await line.unlink()
    } catch (error) {
      log.warn('The device could not be unlinked', { error: String(error) })
    }
    await record()
  }

  const isStorageTrouble = (error: unknown) =>
    error instanceof AppError && error.code === 'STORAGE_UNAVAILABLE'

  /** Ends the connection for a reason of our own; goes on even when that cannot be written. */
  const endBy = async (generation: number, reason: CloseReason, detail: string) => {
    if (generation !== line.generation || phase !== 'live') return
    if (reason === 'connection_lost' && session.state.status === 'connected') return
    const outcome = decide(session, { on: 'closed', why: { reason, code: null, detail } }, context())
    if (typeof outcome === 'string') {
      await line.close()
      pending = []
      return
    }
    await carryOut(outcome)
  }

  /** Commits a decision that cannot be refused; when the disk fails, its events are owed and told with the next commit. */
  const carryOut = async (decision: Decision) => {
    try {
      await commit([changed(decision.session, decision.events)])
    } catch (error) {
      log.error('A change of state waits for the storage', { error: String(error) })
      owed = [...owed, ...decision.events]
    }
    adopt(decision.session)
    await act(decision.effects)
  }

  /**
   * The disk has refused what came: the connection is closed so that nothing more is acknowledged, and what is lost from
   * memory comes again from the inbox.
   */
  const storageFailed = async (error: unknown) => {
    log.error('Reports could not be stored; the connection is closed', { error: String(error) })
    pending = []
    if (!isStorageTrouble(error)) log.error('The storage has failed in an unknown way')
    if (phase === 'live') await endBy(line.generation, 'storage_failed', 'The storage does not accept writes')
  }

  const showCode = async (text: string, expiresAt: number) => {
    try {
      const qrCode = await qrDataUrl(text)
      journal.tell(
        sessionEvent(session, 'session.qr_generated', {
          qrCode,
          qrText: text,
          expiresAt: isoTime(expiresAt),
        }),
      )
    } catch (error) {
      log.error('A QR code could not be drawn', { error: String(error) })
    }
  }

  /** A second session of a number is unlinked again; the first is untouched (contract §3). */
  const checked = (input: Input): Input => {
    if (input.on !== 'opened') return input
    const holder = holders.holderOf(input.me.phoneNumber)
    if (holder === null || holder === session.id) return input
    return {
      on: 'closed',
      why: {
        reason: 'duplicate_phone_number',
        code: null,
        detail: 'Another session of this server already holds this phone number',
      },
    }
  }

  const live = async ({ generation, report }: { generation: number; report: LifeReport }) => {
    if (generation !== line.generation || phase !== 'live') {
      log.debug('A late report was dropped', { kind: report.kind })
      return
    }
    const outcome = decide(session, checked(inputOf(report)), context())
    if (typeof outcome === 'string') return
    const { status } = session.state
    if (report.kind === 'closed') {
      log.info('The connection has ended', {
        reason: report.why.reason,
        code: report.why.code,
        detail: report.why.detail,
      })
      return carryOut(outcome)
    }
    // A further code of the same window is nothing to store: the text never is, and its time is known only here.
    if (status !== outcome.session.state.status || report.kind !== 'qr')
      await commit([changed(outcome.session, outcome.events)])
    adopt(outcome.session)
    if (report.kind === 'paired') handover = true
    if (report.kind === 'qr') {
      line.expect(Math.max(0, report.expiresAt - clock.now()) + CONNECT_DEADLINE)
      await showCode(report.text, report.expiresAt)
    }
    await act(outcome.effects)
    if (report.kind === 'opened' && outcome.session.state.status === 'connected') sending.resume()
  }

  const activityFact = (spacing: number): Fact[] => {
    if (lastActivity === null || clock.monotonic() - activityWritten < spacing) return []
    activityWritten = clock.monotonic()
    return [{ change: { kind: 'session_active', sessionId: session.id, at: lastActivity }, events: [] }]
  }

  const factsOfOne = (report: Report): Fact[] => {
    if (isLife(report) || report.kind === 'alive') return []
    if (report.kind === 'presence') {
      journal.tell(momentaryEvent(report, session))
      return []
    }
    try {
      return factsOf(report, { session, stored: (id) => parts.messages.get(session.id, id) })
    } catch (error) {
      // Its stanza stays in the inbox; the session goes on with what it understands.
      log.error('A report could not be read', { kind: report.kind, error: String(error) })
      return []
    }
  }

  const confirm = (reports: readonly Report[]) => {
    for (const report of reports) {
      if (report.kind !== 'statuses') continue
      const acknowledged = report.statuses.filter(({ status }) => status !== 'failed' && status !== 'queued')
      sending.confirmed(
        acknowledged.map(({ messageId }) => messageId),
        clock.now(),
      )
    }
  }

  /** Writes what has come, many reports in one commit, life reports each by itself and in their place. */
  const record = async () => {
    try {
      while (pending.length > 0 && phase !== 'gone') {
        const taken: Report[] = []
        const facts: Fact[] = []
        while (pending[0] && !isLife(pending[0].report) && facts.length < BATCH) {
          const { report } = pending[0]
          taken.push(report)
          facts.push(...factsOfOne(report))
          pending.shift()
        }
        const active = activityFact(facts.length > 0 ? ACTIVITY_WITH_FACTS : ACTIVITY_ALONE)
        if (facts.length + active.length > 0) await commit([...facts, ...active])
        confirm(taken)
        const next = pending[0]
        if (!next || !isLife(next.report)) continue
        pending.shift()
        await live({ generation: next.generation, report: next.report })
      }
    } catch (error) {
      await storageFailed(error)
    }
  }

  const take = (generation: number, report: Report) => {
    if (phase === 'gone') return
    if (!isLife(report)) {
      const at = report.kind === 'alive' ? report.at : clock.now()
      lastActivity = Math.max(lastActivity ?? 0, at)
    }
    if (PROGRESS.has(report.kind) && generation === line.generation && session.state.status === 'connecting')
      line.expect(CONNECT_DEADLINE)
    pending.push({ generation, report })
    if (draining) return
    draining = true
    post(async () => {
      draining = false
      await record()
    })
  }

  const ended = () => (phase === 'live' ? null : phase === 'gone' ? 'SESSION_NOT_FOUND' : 'SHUTTING_DOWN')

  /** Runs a caller's task in its turn, unless the session has ended by then. */
  const inTurn = async <T>(task: () => Promise<T>): Promise<T> => {
    try {
      return await mailbox.run(() => {
        const code = ended()
        if (code) throw fail(code)
        return task()
      })
    } catch (error) {
      throw error instanceof MailboxClosed ? fail(ended() ?? 'SHUTTING_DOWN') : error
    }
  }

  return {
    sending,
    get ended() {
      return ended()
    },
    view,
    connection: () => (phase === 'live' ? line.connection : null),
    command(command) {
      const answer = Promise.withResolvers<Session>()
      inTurn(async () => {
        const outcome = decide(session, { on: command }, context())
        if (typeof outcome === 'string') return answer.resolve(view())
        await commit([changed(outcome.session, outcome.events)])
        adopt(outcome.session)
        answer.resolve(view())
        await act(outcome.effects)
      }).catch((error: unknown) => {
        log.debug('A command has failed', { command, error: String(error) })
        answer.reject(error)
      })
      return answer.promise
    },
    edit: (change) =>
      inTurn(async () => {
        const edited = change(session)
        if (edited === null) return view()
        await commit([changed(edited.session, edited.events)])
        const { state } = edited.session
        if (state.status === 'disconnected' && state.retryAt === null) cancelRetry()
        adopt(edited.session)
        return view()
      }),
    remove: () =>
      inTurn(async () => {
        cancelRetry()
        cancelOpening()
        if (session.credentials === 'linked') await unlink()
        await closeLine()
        phase = 'gone'
        pending = []
        try {
          await commit([
            ...sending.unsent(),
            {
              change: { kind: 'session_deleted', sessionId: session.id },
              events: [sessionEvent(session, 'session.deleted')],
            },
          ])
        } catch (error) {
          phase = 'live'
          await storageFailed(error)
          throw error
        }
        sending.end()
        holders.release(session.id)
        await parts.vaults
          .wipe(session.id)
          .catch((error: unknown) => log.error('Keys could not be wiped', { error: String(error) }))
        for (const listener of [...listeners]) listener()
        void mailbox.close()
      }),
    async shutDown() {
      if (phase !== 'live') return
      phase = 'stopping'
      cancelRetry()
      cancelOpening()
      sending.pause()
      for (const listener of [...listeners]) listener()
      post(async () => {
        await line.close()
        await record()
        if (session.state.status !== 'connected' || lastActivity === null) return
        lastActivity = clock.now()
        activityWritten = Number.NEGATIVE_INFINITY
        await commit(activityFact(0))
      })
      await mailbox.close()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
