/** A vault in memory whose writes can be watched, delayed and refused; it survives the sockets that use it. */
import { type InboxRow, type SessionVault, VaultFenced, type VaultWrite } from '../../../src/domain/ownership'

export interface MemoryVault extends SessionVault {
  /** Opens it for a next generation; this one refuses writes from now on. */
  next(): MemoryVault
  /** Every write fails from now on. */
  fail(error: Error | null): void
  /** Called with every batch before it is written; a rejection refuses it. */
  onCommit(hook: (writes: readonly VaultWrite[]) => void | Promise<void>): void
  onReceive(hook: (stanza: Uint8Array) => void | Promise<void>): void
  readonly size: number
}

type Rows = Map<string, Uint8Array>
type Disk = { rows: Map<string, Rows>; inbox: InboxRow[]; lastId: number; generation: number }

export function createMemoryVault(
  disk: Disk = { rows: new Map(), inbox: [], lastId: 0, generation: 0 },
): MemoryVault {
  disk.generation += 1
  const generation = disk.generation
  let refusal: Error | null = null
  let beforeCommit: (writes: readonly VaultWrite[]) => void | Promise<void> = () => undefined
  let beforeReceive: (stanza: Uint8Array) => void | Promise<void> = () => undefined
  const check = () => {
    if (disk.generation !== generation) throw new VaultFenced()
    if (refusal) throw refusal
  }
  const rowsOf = (type: string): Rows => {
    const rows = disk.rows.get(type) ?? new Map<string, Uint8Array>()
    disk.rows.set(type, rows)
    return rows
  }
  return {
    generation,
    get size() {
      return [...disk.rows.values()].reduce((sum, rows) => sum + rows.size, 0)
    },
    get(type, ids) {
      const rows = rowsOf(type)
      return new Map(ids.flatMap((id) => (rows.has(id) ? [[id, rows.get(id) as Uint8Array] as const] : [])))
    },
    ids: (type) => [...rowsOf(type).keys()],
    async commit(writes) {
      check()
      await beforeCommit(writes)
      check()
      for (const { type, id, value } of writes) {
        if (value === null) rowsOf(type).delete(id)
        else rowsOf(type).set(id, Uint8Array.from(value))
      }
    },
    async receive(stanza) {
      check()
      await beforeReceive(stanza)
      check()
      disk.lastId += 1
      disk.inbox.push({ id: disk.lastId, stanza: Uint8Array.from(stanza), at: Date.now() })
      return disk.lastId
    },
    inbox: () => [...disk.inbox],
    async discard(ids) {
      check()
      disk.inbox = disk.inbox.filter(({ id }) => !ids.includes(id))
    },
    next: () => createMemoryVault(disk),
    fail(error) {
      refusal = error
    },
    onCommit(hook) {
      beforeCommit = hook
    },
    onReceive(hook) {
      beforeReceive = hook
    },
  }
}
