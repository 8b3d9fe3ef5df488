/**
 * One session at work: commands, timers and reports go through one mailbox; each is decided, committed, and only then
 * acted on.
 *
 * Reports that wait are taken together and committed at once. What a connection of an older generation says about the
 * session's life is dropped; messages it still hands over while it is being closed are kept, for WhatsApp has been told
 * that we have them.
 */
import type { Fact, Ledger } from '../domain/changes'
import { fail } from '../domain/errors'
import type { NewEvent } from '../domain/events'
import type { Journal } from '../domain/journal'
import type { Message, Messages } from '../domain/message'
import type { Vaults } from '../domain/ownership'
import type { Restriction, Session, Sessions, TimelineCause } from '../domain/session'
import { type Decision, decide, rerouted, stalledEvent } from '../domain/session-life'
import type { Stall } from '../domain/stalls'
import type { Connection, Report, WhatsApp } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { MailboxClosed } from '../lib/mailbox'
import { createEffects } from './effects'
import { createFailures } from './failures'
import { createGapWatch } from './gap-watch'
import { createIntake } from './intake'
import { CONNECT_DEADLINE, createLine } from './line'
import { comesBack } from './not-connected'
import { type NumberHolders, refuseSecond } from './one-number'
import { createOpening } from './opening'
import { createOwing } from './owing'
import { type Places, sessionEvent } from './payload'
import { inputOf, type LifeReport } from './recorder'
import { createRestrictionWatch, type RestrictionWatch } from './restriction'
import { noted } from './restriction-note'
import type { Sending } from './sending/sending'
import { showCode } from './show-code'
import { createStallWatch } from './stall-watch'
import { createSteps } from './steps'
import type { SessionCommand } from './supervisor'

/** Pause before a due retry that could not be committed is tried again (ms). */
const STORAGE_PAUSE = 5_000

export type LiveSessionParts = {
  session: Session
  whatsapp: WhatsApp
  messages: Messages
  sessions: Pick<Sessions, 'lateCount' | 'inbox'>
  vaults: Vaults
  ledger: Ledger
  journal: Journal
  holders: NumberHolders
  clock: Clock
  random: () => number
  log: Log
  qrMaxWindows: number
  places: Places
  /** Makes the sender of this session. */
  sending: (of: {
    session: () => Session
    connection: () => Connection | null
    isGone: () => boolean
    restriction: RestrictionWatch
  }) => Sending
  /** Messages have come in and are on disk. */
  onMessages: (session: Session, messages: readonly Message[]) => void
}

export interface LiveSession {
  readonly sending: Sending
  /** Why nothing can be asked of it any more; null while it lives. */
  readonly ended: 'SESSION_NOT_FOUND' | 'SHUTTING_DOWN' | null
  /** The session as it stands, with the newest activity. */
  view(): Session
  /** What of it does not move at the moment. */
  stall(): Stall | null
  /** The connection of the present pairing window or login, null when there is none. */
  connection(): Connection | null
  /** The connection when messages can be sent over it, null otherwise. */
  through(): Connection | null
  /** Resolves with the session once the command is on disk; the effects follow. */
  command(command: SessionCommand): Promise<Session>
  /**
   * Takes up what the last process left: the state is right at once, `fact` puts it on disk, and `open` connects when it
   * is this session's turn. Null when there is nothing to take up. Call it before anything else.
   */
  resume(): { fact: Fact; open: () => Promise<void> } | null
  /** Changes name, description or settings; the events tell of it when `change` gives another session. */
  edit(change: (session: Session) => { session: Session; events: NewEvent[] } | null): Promise<Session>
  /** Unlinks, removes everything, and lets nothing in any more. */
  remove(): Promise<void>
  /** Closes the connection and writes what came; the state stays, so that the next process resumes it. */
  shutDown(): Promise<void>
  /** Calls back after each change of the state; returns how to leave. */
  onChange(listener: () => void): () => void
}

/** Reports that show that a slow login makes progress. */
const PROGRESS = new Set<Report['kind']>(['messages', 'handled', 'history'])

export function createLiveSession(parts: LiveSessionParts): LiveSession {
  const { clock, ledger, journal, holders } = parts
  const log = parts.log.with({ sessionId: parts.session.id })
  const mailbox = createSteps(clock)
  const listeners = new Set<() => void>()
  let session = parts.session
  let draining = false
  let phase: 'live' | 'stopping' | 'gone' = 'live'
  const { commit, owe } = createOwing(ledger)
  let cancelRetry = () => {}

  const line = createLine({
    whatsapp: parts.whatsapp,
    vaults: parts.vaults,
    clock,
    log,
    sessionId: session.id,
    proxyUrl: () => session.settings.proxyUrl,
    raw: (messageId) => parts.messages.raw(session.id, messageId),
    onReport: (generation, report) => take(generation, report),
    onOverdue: (generation) => post(() => failures.overdue(generation)),
  })

  const opening = createOpening({
    line,
    vaults: parts.vaults,
    clock,
    log,
    session: () => session,
    isLive: () => phase === 'live',
    post: (task) => post(task),
    onFailure: (generation) => failures.endBy(generation, 'storage_failed', 'The key store cannot be opened'),
  })

  const intake = createIntake({
    session: () => session,
    messages: parts.messages,
    places: parts.places,
    clock,
    log,
    commit,
    tell: (event) => journal.tell(event),
    onLife: (generation, report) => live(generation, report),
    recent: (id) => sending.recent(id),
    onStatuses: (statuses) => sending.reached(statuses),
    onMessages(messages) {
      gap.came(messages)
      sending.noted(messages)
      parts.onMessages(session, messages)
    },
    onVanishing: ({ chat, seconds }) => sending.vanishes(chat, seconds),
    onRestriction: (told) => restriction.told(told),
    onFailure: (error) => failures.storageFailed(error),
  })

  /** The connection when it is through to WhatsApp. */
  const through = () => (session.state.status === 'connected' && phase === 'live' ? line.connection : null)

  const restriction = createRestrictionWatch({
    session: () => session,
    connection: through,
    messages: parts.messages,
    change: (next) => post(() => restrict(next)),
    clock,
    log,
  })

  const gap = createGapWatch({
    session: () => session,
    lateCount: () => parts.sessions.lateCount(session.id),
    isBehind: () => parts.sessions.inbox(session.id).length > 0,
    silentFor: () => intake.silentFor(),
    over: (look) => post(() => outageOver(look)),
    clock,
  })

  const sending = parts.sending({
    session: () => session,
    isGone: () => phase === 'gone',
    connection: through,
    restriction,
  })

  const stalls = createStallWatch({
    session: () => session,
    sessions: parts.sessions,
    progress: () => sending.progress(),
    busyFor: mailbox.busyFor,
    tell(stall) {
      log.error('The session has stalled', stall)
      // Not in the session's turn, which may be what does not move.
      ledger
        .commit([{ change: { kind: 'told' }, events: [stalledEvent(session, stall)] }])
        .catch((error: unknown) => log.error('A stall could not be told', { error: String(error) }))
    },
    reconnect(stall) {
      log.error('The session has stalled; it connects anew', stall)
      const { generation } = line
      post(() => failures.stalled(generation, stall))
    },
    clock,
  })

  const context = () => ({ now: clock.now(), random: parts.random, qrMaxWindows: parts.qrMaxWindows })
  /** The same object as long as nothing has changed, so that what is made of it can be kept. */
  let shown = { of: session, session }
  const view = (): Session => {
    const lastActivity = intake.lastActivity()
    if (lastActivity === session.lastActivity) return session
    if (shown.of !== session || shown.session.lastActivity !== lastActivity) {
      shown = { of: session, session: { ...session, lastActivity } }
    }
    return shown.session
  }

  /** Posts work whose failure concerns nobody; resolves when it is done. */
  const post = (task: () => Promise<void>): Promise<void> =>
    mailbox.run(task).catch((error: unknown) => {
      if (error instanceof MailboxClosed) return
      log.error('A session has failed at its own work', { error: String(error) })
    })

  const changed = (next: Session, events: readonly NewEvent[], cause: TimelineCause = 'unknown'): Fact => ({
    change: { kind: 'session_changed', session: { ...next, lastActivity: intake.lastActivity() }, cause },
    events,
  })

  const stillActive = (): Fact => ({
    change: { kind: 'session_active', sessionId: session.id, at: clock.now() },
    events: [],
  })

  const restrict = async (next: Restriction | null) => {
    if (phase !== 'live') return
    const { session: restricted, events } = noted(session, next)
    await carryOut({ session: restricted, events, effects: [] })
  }

  /** The backlog is through: the outage is told and over. */
  const outageOver = async (look: () => NewEvent[] | null) => {
    if (phase !== 'live') return
    const events = look()
    if (events !== null) await carryOut({ session: { ...session, outage: null }, events, effects: [] })
  }

  /** Takes over a session that is on disk (or could not be put there). */
  const adopt = (next: Session) => {
    const { status } = session.state
    const left = status !== next.state.status
    session = next
    holders.note(next)
    if (left) {
      gap.moved(status, next.state.status)
      stalls.moved(next.state.status)
      cancelRetry()
      opening.cancel()
      if (next.state.status === 'connected') line.through()
    }
    if (next.state.status === 'inactive' || next.state.status === 'disconnected') opening.handOver(false)
    if (!comesBack(next)) sending.pause()
    for (const listener of [...listeners]) listener()
  }

  const arm = (at: number) => {
    cancelRetry()
    cancelRetry = clock.after(Math.max(0, at - clock.now()), () =>
      post(async () => {
        const outcome = decide(view(), { on: 'retry_due' }, context())
        if (typeof outcome === 'string' || phase !== 'live') return
        try {
          await commit([changed(outcome.session, outcome.events, 'retry_due')])
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

  /** Commits a decision that cannot be refused; when the disk fails, its events are owed and told with the next commit. */
  const carryOut = async (decision: Decision) => {
    try {
      await commit([changed(decision.session, decision.events, 'closed')])
    } catch (error) {
      log.error('A change of state waits for the storage', { error: String(error) })
      owe(decision.events)
    }
    adopt(decision.session)
    await act(decision.effects)
  }

  const { act, closeLine, unlink } = createEffects({ line, intake, opening, arm, log })
  const failures = createFailures({
    session: view,
    isLive: () => phase === 'live',
    line,
    intake,
    context,
    carryOut,
    log,
  })

  const live = async (generation: number, report: LifeReport): Promise<void> => {
    if (generation !== line.generation || phase !== 'live') {
      log.debug('A late report was dropped', { kind: report.kind })
      return
    }
    const input = refuseSecond(holders, session, inputOf(report))
    const outcome = decide(view(), input, context())
    if (typeof outcome === 'string') return
    const { status } = session.state
    if (report.kind === 'closed') {
      log.info('The connection has ended', {
        reason: report.why.reason,
        code: report.why.code,
        detail: report.why.detail,
      })
      // WhatsApp asks for a restart only after it has linked the device, whether we have heard of that or not.
      if (report.why.reason === 'restart_required') opening.keepKeys()
      return carryOut(outcome)
    }
    // A further code of the same window is nothing to store: the text never is, and its time is known only here.
    if (status !== outcome.session.state.status || report.kind !== 'qr')
      await commit([changed(outcome.session, outcome.events, report.kind)])
    adopt(outcome.session)
    if (report.kind === 'paired') opening.handOver(true)
    if (report.kind === 'qr') {
      line.expect(Math.max(0, report.expiresAt - clock.now()) + CONNECT_DEADLINE)
      await showCode({ journal, log }, session, report)
    }
    await act(outcome.effects)
    if (report.kind === 'opened' && outcome.session.state.status === 'connected') sending.resume()
  }

  const take = (generation: number, report: Report) => {
    if (phase === 'gone') return
    if (PROGRESS.has(report.kind) && generation === line.generation && session.state.status === 'connecting')
      line.expect(CONNECT_DEADLINE)
    intake.put(generation, report)
    if (draining) return
    draining = true
    post(async () => {
      draining = false
      await intake.record()
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
    stall: stalls.found,
    connection: () => (phase === 'live' ? line.connection : null),
    through,
    command(command) {
      const answer = Promise.withResolvers<Session>()
      inTurn(async () => {
        const outcome = decide(view(), { on: command }, context())
        if (typeof outcome === 'string') return answer.resolve(view())
        await commit([changed(outcome.session, outcome.events, command)])
        adopt(outcome.session)
        answer.resolve(view())
        await act(outcome.effects)
      }).catch((error: unknown) => {
        log.debug('A command has failed', { command, error: String(error) })
        answer.reject(error)
      })
      return answer.promise
    },
    resume() {
      sending.start()
      const outcome = decide(session, { on: 'resume' }, context())
      if (typeof outcome === 'string') return null
      const fact = changed(outcome.session, outcome.events, 'resume')
      adopt(outcome.session)
      return {
        fact,
        open: () =>
          inTurn(async () => {
            // A command that came first has done it already, or does not want it any more.
            await opening.now()
          }),
      }
    },
    edit(change) {
      const answer = Promise.withResolvers<Session>()
      inTurn(async () => {
        const edited = change(session)
        if (edited === null) return answer.resolve(view())
        const isRerouted = edited.session.settings.proxyUrl !== session.settings.proxyUrl
        const anew = isRerouted ? rerouted(edited.session, context()) : null
        const next = anew?.session ?? edited.session
        await commit([
          changed(next, [...edited.events, ...(anew?.events ?? [])], anew ? 'rerouted' : 'unknown'),
        ])
        if (next.state.status === 'disconnected' && next.state.retryAt === null) cancelRetry()
        adopt(next)
        sending.wake()
        answer.resolve(view())
        if (anew) await act(anew.effects)
      }).catch((error: unknown) => {
        log.debug('A change has failed', { error: String(error) })
        answer.reject(error)
      })
      return answer.promise
    },
    remove: () =>
      inTurn(async () => {
        // Unlinking cannot be taken back: a disk that would refuse the end of the session is asked before.
        await commit([stillActive()])
        cancelRetry()
        opening.cancel()
        if (session.credentials === 'linked') await unlink()
        await closeLine()
        phase = 'gone'
        intake.drop()
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
          await failures.storageFailed(error)
          throw error
        }
        sending.end()
        restriction.stop()
        gap.stop()
        stalls.stop()
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
      opening.cancel()
      sending.stop()
      restriction.stop()
      gap.stop()
      stalls.stop()
      for (const listener of [...listeners]) listener()
      post(async () => {
        await line.close()
        await intake.record()
        // The time up to now was time connected.
        if (session.state.status !== 'connected') return
        await commit([stillActive()])
      })
      await mailbox.close()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
