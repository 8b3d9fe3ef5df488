/** Runs tasks strictly one after another, in the order in which they were posted. */
export interface Mailbox {
  /** Resolves or rejects with the task's own outcome; rejects with `MailboxClosed` after `close`. */
  run<T>(task: () => T | Promise<T>): Promise<T>
  readonly waiting: number
  /** Refuses new tasks and resolves when those already posted are done. */
  close(): Promise<void>
}

/** Thrown by `run` once the mailbox is closed. */
export class MailboxClosed extends Error {
  constructor() {
    super('This mailbox is closed')
    this.name = 'MailboxClosed'
  }
}

/** Makes an empty mailbox. */
export function createMailbox(): Mailbox {
  let last: Promise<unknown> = Promise.resolve()
  let waiting = 0
  let closed = false
  return {
    run(task) {
      if (closed) return Promise.reject(new MailboxClosed())
      waiting += 1
      const done = last.then(task).finally(() => {
        waiting -= 1
      })
      // The chain must go on after a failed task; the failure itself belongs to the caller of `run`.
      last = done.then(
        () => undefined,
        () => undefined,
      )
      return done
    },
    get waiting() {
      return waiting
    },
    async close() {
      closed = true
      await last
    },
  }
}
