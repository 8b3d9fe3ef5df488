/** Streams over a real storage, and a socket whose buffer the test fills and empties. */
import type { EventName } from '../../src/domain/events'
import { asTenantId, type SessionId, type TenantId } from '../../src/domain/ids'
import type { Entry } from '../../src/domain/journal'
import type { Storage } from '../../src/storage/open'
import { type CloseCode, closeReason } from '../../src/stream/close-codes'
import type { Notice, StreamSocket } from '../../src/stream/subscription'
import { created, makeEvent, makeSession, OTHER, SESSION, TENANT } from '../storage/rig'

export const STRANGER = asTenantId('tenant-2')
export const FOREIGN = 'c'.repeat(32) as SessionId

export async function makeSessions(storage: Storage): Promise<void> {
  await storage.ledger.commit([
    created(),
    created(makeSession(OTHER)),
    {
      change: { kind: 'session_created', session: makeSession(FOREIGN, { tenantId: STRANGER }) },
      events: [],
    },
  ])
}

/** Commits one event per number, all in one commit. */
export async function happen(
  storage: Storage,
  numbers: readonly number[],
  also: {
    session?: SessionId
    tenant?: TenantId
    name?: EventName
    fields?: Record<string, unknown>
  } = {},
): Promise<void> {
  const { session = SESSION, tenant = TENANT, name = 'message.received' } = also
  await storage.ledger.commit(
    numbers.map((n) => ({
      change: { kind: 'told' },
      events: [{ ...makeEvent(name, { n, ...also.fields }, session), tenantId: tenant }],
    })),
  )
}

export type Frame = Record<string, unknown> & { event?: string; n?: number; cursor?: string | null }

export class PretendSocket implements StreamSocket {
  readonly frames: Frame[] = []
  readonly texts: string[] = []
  closed: { code: number; reason: string } | null = null
  pings = 0
  /** Bytes that the client has not read; only `stalled` sockets keep any. */
  buffered = 0
  mostBuffered = 0
  stalled = false

  readonly ping = { every: 30_000, send: () => this.pinged() }

  event(entry: Entry): number {
    return this.send(entry.json)
  }
  notice(notice: Notice): void {
    this.send(JSON.stringify(notice))
  }
  private send(frame: string): number {
    this.texts.push(frame)
    this.frames.push(JSON.parse(frame))
    if (!this.stalled) return frame.length
    this.buffered += frame.length
    this.mostBuffered = Math.max(this.mostBuffered, this.buffered)
    return -1
  }
  bufferedAmount(): number {
    return this.buffered
  }
  close(code: CloseCode, detail: string): void {
    this.closed = { code, reason: closeReason(code, detail) }
  }
  private pinged(): void {
    this.pings += 1
  }
  get events(): Frame[] {
    return this.frames.filter(({ event }) => event !== undefined)
  }
  get numbers(): number[] {
    return this.events.map(({ n }) => n ?? -1)
  }
}
