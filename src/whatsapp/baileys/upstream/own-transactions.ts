/**
 * Upstream defect: libsignal lines up the work on all sessions with one address in one queue for the whole process, and
 * the queue works in the asynchronous context of whoever came first. Baileys finds its store transaction by that context.
 * When several accounts of a process talk with the same person, an operation may run inside a transaction that ended
 * before: it reads an old ratchet from there, and what it writes is never stored. The next message cannot be decrypted.
 *
 * Repair: each piece of work runs in the context that asked for it, and the queue itself in none.
 *
 * Upstream repaired it when the test named "upstream: …" of `own-transactions.test.ts` fails.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

type Job = () => Promise<unknown>
type Cipher = { queueJob(job: Job): Promise<unknown> }
type Builder = { initOutgoing(bundle: unknown): Promise<unknown> }

// By its own path and not the package's entry, which is what Baileys takes the same object from.
const cipher: Cipher = require('libsignal/src/session_cipher.js').prototype
const builder: Builder = require('libsignal/src/session_builder.js').prototype

let takeBack: (() => void) | null = null

/** Puts the repair in place for the whole process, once; call it outside of any transaction. Returns the way back. */
export function keepTransactionsApart(): () => void {
  if (takeBack) return takeBack
  const original = { queueJob: cipher.queueJob, initOutgoing: builder.initOutgoing }
  const outside = AsyncLocalStorage.snapshot()
  cipher.queueJob = function (job) {
    const inside = AsyncLocalStorage.snapshot()
    return outside(() => original.queueJob.call(this, () => inside(job)))
  }
  // It has a place in the queue that cannot be reached. Outside, its one row is written by itself.
  builder.initOutgoing = function (bundle) {
    return outside(() => original.initOutgoing.call(this, bundle))
  }
  takeBack = () => {
    takeBack = null
    cipher.queueJob = original.queueJob
    builder.initOutgoing = original.initOutgoing
  }
  return takeBack
}
