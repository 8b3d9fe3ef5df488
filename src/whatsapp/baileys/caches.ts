/** Bounded caches in the form that Baileys asks for. */
import type { CacheStore } from '@whiskeysockets/baileys'
import type { Clock } from '../../lib/clock'

export type CacheOptions = {
  clock: Clock
  max: number
  /** Milliseconds after which an entry is forgotten. */
  ttlMs: number
}

type Entry = { value: unknown; until: number }

/** Forgets the oldest entry when full. */
export function createCache({ clock, max, ttlMs }: CacheOptions): CacheStore {
  const entries = new Map<string, Entry>()
  return {
    get<T>(key: string): T | undefined {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      if (entry.until > clock.monotonic()) return entry.value as T
      entries.delete(key)
      return undefined
    },
    set(key, value) {
      entries.delete(key)
      entries.set(key, { value, until: clock.monotonic() + ttlMs })
      const oldest = entries.size > max ? entries.keys().next().value : undefined
      if (oldest !== undefined) entries.delete(oldest)
    },
    del(key) {
      entries.delete(key)
    },
    flushAll() {
      entries.clear()
    },
  }
}

/** A view of a shared cache whose keys are a session's own; it outlives the session's sockets. */
export function cacheOf(shared: CacheStore, sessionId: string): CacheStore {
  const named = (key: string) => `${sessionId}:${key}`
  return {
    get: (key) => shared.get(named(key)),
    set: (key, value) => shared.set(named(key), value),
    del: (key) => shared.del(named(key)),
    // Nobody but the process may empty what is shared.
    flushAll: () => undefined,
  }
}
