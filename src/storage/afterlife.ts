/** What later messages have made of stored ones, loaded for a whole page at once. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { type Afterlife, NO_AFTERLIFE, type Reaction, type Vote } from '../domain/message'
import { ACT } from './acts'
import { bodyOf, FLAG, type MessageRow } from './message-rows'
import type { NumberedSession } from './numbers'
import { partyOfRow } from './parties'

type Row = {
  target: Uint8Array | string
  kind: number
  slot: number
  at: number
  until: number | null
  side: number
  id: Uint8Array | string
  from_me: number
  type: number
  flags: number
  body: Uint8Array | null
  lid: string | null
  phone: string | null
}

/** Statements differ by the number of ids; a few sizes do for all pages. */
const sizeFor = (count: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, count)))
const MOST_AT_ONCE = 256

const nameOf = (id: Uint8Array | string, side: number): string =>
  `${typeof id === 'string' ? `t${id}` : `b${Buffer.from(id).toString('hex')}`}/${side}`

type Touched = Pick<MessageRow, 'id' | 'from_me' | 'flags'>
export type AfterlifeOf = (row: Touched) => Afterlife

export function createAfterlives(
  database: Database,
  now: () => number,
): (session: NumberedSession, rows: readonly Touched[]) => AfterlifeOf {
  const query = (size: number) =>
    database.query<Row, SQLQueryBindings[]>(
      `SELECT x.target, x.kind, x.slot, x.at, x.until, x.side, a.id, a.from_me, a.type, a.flags,
       CASE WHEN x.kind <= ${ACT.vote} THEN a.body END AS body, p.lid, p.phone
       FROM acts x JOIN messages a ON a.number = x.action LEFT JOIN parties p ON p.number = x.slot
       WHERE x.session = ? AND x.target IN (${Array(size).fill('?').join()}) AND x.side IS NOT NULL
       ORDER BY x.at, x.action`,
    )

  function put(session: NumberedSession, into: Afterlife, row: Row): void {
    switch (row.kind) {
      case ACT.edit:
        into.editedAt = row.at
        break
      case ACT.delete:
        into.deletedAt ??= row.at
        break
      case ACT.pin:
        // The latest in the chat counts, whoever it was.
        into.pinnedUntil = (row.until ?? 0) > now() ? row.until : null
        break
      default: {
        if ((row.flags & FLAG.keepContent) === 0) return
        const { content } = bodyOf(session.id, session.sealer, row)
        const from = row.slot === 0 ? ('me' as const) : partyOfRow({ ...row, jid: null })
        const { at } = row
        if (content.type === 'reaction' && content.emoji !== '') {
          into.reactions.push({ emoji: content.emoji, from, at } satisfies Reaction)
        }
        if (content.type === 'vote' && content.options.length > 0) {
          into.votes.push({ options: content.options, from, at } satisfies Vote)
        }
      }
    }
  }

  return (session, rows) => {
    const touched = rows.filter((row) => (row.flags & FLAG.touched) !== 0)
    const found = new Map<string, Afterlife>()
    for (let from = 0; from < touched.length; from += MOST_AT_ONCE) {
      const ids = touched.slice(from, from + MOST_AT_ONCE).map((row) => row.id)
      const size = sizeFor(ids.length)
      const [last = ''] = ids
      const filled = [...ids, ...Array<Uint8Array | string>(size - ids.length).fill(last)]
      for (const row of query(size).all(session.number, ...filled)) {
        const name = nameOf(row.target, row.side)
        const life = found.get(name) ?? { ...NO_AFTERLIFE, reactions: [], votes: [] }
        found.set(name, life)
        put(session, life, row)
      }
    }
    return (row) => {
      const life = found.get(nameOf(row.id, row.from_me)) ?? NO_AFTERLIFE
      // What was taken back shows nothing any more of what others made of it.
      return life.deletedAt === null ? life : { ...NO_AFTERLIFE, deletedAt: life.deletedAt }
    }
  }
}
