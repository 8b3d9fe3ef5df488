/** Metadata of groups, asked once and thrown away when the group changes (field notes A19), and who is who in them. */
import type { BaileysEventMap, GroupMetadata } from '@whiskeysockets/baileys'
import { withoutDevice } from '../../domain/ids'
import type { Clock } from '../../lib/clock'
import { createCache } from './caches'

const KEPT_MS = 5 * 60_000
const MAX_GROUPS = 500
/** Members whose other address is remembered. */
const MAX_MEMBERS = 20_000

export interface GroupCache {
  /** From memory, or asked for; callers at the same time share one question. */
  get(jid: string): Promise<GroupMetadata | undefined>
  /** The other address of somebody who was a member of a group that was asked for; Baileys itself forgets it. */
  otherAddress(jid: string): string | null
  /** What Baileys tells about groups makes what we know stale. */
  changed(events: Partial<BaileysEventMap>): void
}

export function createGroupCache(clock: Clock, ask: (jid: string) => Promise<GroupMetadata>): GroupCache {
  const cache = createCache({ clock, max: MAX_GROUPS, ttlMs: KEPT_MS })
  const others = new Map<string, string>()
  const learn = ({ participants }: GroupMetadata) => {
    if (others.size + 2 * participants.length > MAX_MEMBERS) others.clear()
    for (const { id, lid, phoneNumber } of participants) {
      const other = lid ?? phoneNumber
      if (other) others.set(id, other).set(other, id)
    }
  }
  return {
    async get(jid) {
      const asked = cache.get<Promise<GroupMetadata>>(jid) as Promise<GroupMetadata> | undefined
      if (asked !== undefined) return asked
      const question = ask(jid)
      cache.set(jid, question)
      question.then(learn, () => cache.del(jid))
      return question
    },
    otherAddress: (jid) => others.get(withoutDevice(jid)) ?? null,
    changed(events) {
      for (const group of events['groups.update'] ?? []) if (group.id !== undefined) cache.del(group.id)
      for (const group of events['groups.upsert'] ?? []) cache.del(group.id)
      const members = events['group-participants.update']
      if (members !== undefined) cache.del(members.id)
    },
  }
}
