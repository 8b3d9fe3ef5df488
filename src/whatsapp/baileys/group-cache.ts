/** Metadata of groups, asked once and thrown away when the group changes (field notes A19). */
import type { BaileysEventMap, GroupMetadata } from '@whiskeysockets/baileys'
import type { Clock } from '../../lib/clock'
import { createCache } from './caches'

const KEPT_MS = 5 * 60_000
const MAX_GROUPS = 500

export interface GroupCache {
  /** From memory, or asked for; callers at the same time share one question. */
  get(jid: string): Promise<GroupMetadata | undefined>
  /** What Baileys tells about groups makes what we know stale. */
  changed(events: Partial<BaileysEventMap>): void
}

export function createGroupCache(clock: Clock, ask: (jid: string) => Promise<GroupMetadata>): GroupCache {
  const cache = createCache({ clock, max: MAX_GROUPS, ttlMs: KEPT_MS })
  return {
    async get(jid) {
      const asked = cache.get<Promise<GroupMetadata>>(jid) as Promise<GroupMetadata> | undefined
      if (asked !== undefined) return asked
      const question = ask(jid)
      cache.set(jid, question)
      question.catch(() => cache.del(jid))
      return question
    },
    changed(events) {
      for (const group of events['groups.update'] ?? []) if (group.id !== undefined) cache.del(group.id)
      for (const group of events['groups.upsert'] ?? []) cache.del(group.id)
      const members = events['group-participants.update']
      if (members !== undefined) cache.del(members.id)
    },
  }
}
