/** Tells like entries together, so that nobody can flood the audit log: the first at once, the rest of its minute as a number. */
import type { AuditEntry } from '../domain/audit'
import type { Clock } from '../lib/clock'

export interface Repeats {
  note(entry: AuditEntry): void
  /** Writes what was counted and not told yet. */
  flush(): void
}

const MINUTE = 60_000
/** Different ones of a minute; beyond them only their number is told. */
const MOST = 200

/** Makes the counter; `write` must not throw. */
export function createRepeats(parts: { clock: Clock; write: (entry: AuditEntry) => void }): Repeats {
  const { clock, write } = parts
  const seen = new Map<string, { entry: AuditEntry; more: number }>()
  let cancel: (() => void) | null = null

  function flush(): void {
    cancel?.()
    cancel = null
    for (const { entry, more } of seen.values()) if (more > 0) write({ ...entry, count: more })
    seen.clear()
  }

  function count(key: string, entry: AuditEntry): void {
    const known = seen.get(key)
    if (known) {
      known.more += 1
      known.entry = { ...known.entry, at: entry.at }
      return
    }
    seen.set(key, { entry, more: 0 })
    write(entry)
    cancel ??= clock.after(MINUTE, flush)
  }

  return {
    note(entry) {
      const { account, credential, action, object, address, result } = entry
      const key = JSON.stringify([account, credential, action, object, network(address), result])
      if (seen.size < MOST || seen.has(key)) count(key, entry)
      else
        count(`${action} ${result}`, {
          ...entry,
          account: null,
          credential: null,
          object: null,
          session: null,
          address: null,
          agent: null,
          fields: [],
        })
    },
    flush,
  }
}

/** Who has one IPv6 address has a whole /64. */
function network(address: string | null): string | null {
  if (!address?.includes(':')) return address
  const [left = ''] = address.split('::')
  return left.split(':').slice(0, 4).join(':')
}
