/** Writes a session's facts; events of decisions that the disk has refused are owed, and told with the next commit. */
import type { Fact, Ledger } from '../domain/changes'
import type { NewEvent } from '../domain/events'

export interface Owing {
  /** Rejects with `STORAGE_UNAVAILABLE`; what is owed stays owed then. */
  commit(facts: readonly Fact[], when?: 'now' | 'soon'): Promise<void>
  owe(events: readonly NewEvent[]): void
}

/** One commit at a time: the session's turn sees to that. */
export function createOwing(ledger: Ledger): Owing {
  let owed: NewEvent[] = []
  return {
    async commit(facts, when) {
      const late: Fact[] = owed.length === 0 ? [] : [{ change: { kind: 'told' }, events: owed }]
      await ledger.commit([...late, ...facts], when)
      if (late.length > 0) owed = []
    },
    owe(events) {
      owed = [...owed, ...events]
    },
  }
}
