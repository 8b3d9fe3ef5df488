/**
 * Upstream defects: Baileys writes a message to the wire inside the store transaction that holds its advanced ratchet,
 * so a crash right after lets the next message use a spent key; and it answers a pairing in the tick in which it hands
 * out the new credentials, before they can be on disk.
 *
 * Repair in two parts.
 * - `outsideTransactions` runs the Signal operations apart from the surrounding transaction: each commits its own
 *   ratchet before it returns a ciphertext.
 * - `holdWritesFor` lets no frame leave while a commit issued before it is not on disk. When a commit fails, nothing
 *   leaves any more.
 *
 * Upstream repaired it when the tests named "upstream: …" of `commit-before-wire.test.ts` fail.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { SignalRepositoryWithLIDStore } from '@whiskeysockets/baileys'
import { faultPoint } from '../../../lib/fault-points'
import type { RawSocket } from './raw-socket'

/** The same repository, its methods free of the caller's transaction. Call this outside of any transaction. */
export function outsideTransactions(repository: SignalRepositoryWithLIDStore): SignalRepositoryWithLIDStore {
  const outside = AsyncLocalStorage.snapshot()
  return {
    ...repository,
    encryptMessage: (options) => outside(() => repository.encryptMessage(options)),
    encryptGroupMessage: (options) => outside(() => repository.encryptGroupMessage(options)),
    getSenderKeyDistributionMessage: (options) =>
      outside(() => repository.getSenderKeyDistributionMessage(options)),
    hasSenderKey: (options) => outside(() => repository.hasSenderKey(options)),
    getSessionInfo: (jid) => outside(() => repository.getSessionInfo(jid)),
    injectE2ESession: (options) => outside(() => repository.injectE2ESession(options)),
    validateSession: (jid) => outside(() => repository.validateSession(jid)),
    migrateSession: (from, to) => outside(() => repository.migrateSession(from, to)),
    deleteSession: (jids) => outside(() => repository.deleteSession(jids)),
  }
}

/** Commits that are on their way to disk. */
export interface PendingCommits {
  readonly waiting: boolean
  /** Resolves when all commits issued so far are on disk, rejects when one failed. */
  settled(): Promise<void>
}

/** Holds every frame until the commits before it are on disk; order is kept. */
export function holdWritesFor(raw: RawSocket, commits: PendingCommits): void {
  const write = raw.send.bind(raw)
  let queue: Promise<unknown> | null = null
  raw.send = (data, written) => {
    if (queue === null && !commits.waiting) return write(data, written)
    const turn = (queue ?? Promise.resolve()).then(() => commits.settled())
    const sent = turn.then(
      () => {
        faultPoint('commit before the wire')
        write(data, written)
      },
      (error: unknown) => written?.(error instanceof Error ? error : new Error(String(error))),
    )
    queue = sent
    void sent.finally(() => {
      if (queue === sent) queue = null
    })
  }
}
