/** What later messages have made of stored ones, loaded for a whole page at once. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { type ActionContent, type ActionType, type ContentOf, isAction } from '../domain/content'
import type { Party } from '../domain/ids'
import { type Afterlife, NO_AFTERLIFE } from '../domain/message'
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

type Applied = { row: Row; from: 'me' | Party; now: number }
/** What an act makes of its target: of itself (`by`), or of what it says (`saying`, which reads its body). */
type Shown<T extends ActionType> =
  | { by: (into: Afterlife, applied: Applied) => void }
  | { saying: (into: Afterlife, content: ContentOf<T>, applied: Applied) => void }

const SHOWN: { readonly [T in ActionType]: Shown<T> } = {
  reaction: {
    saying(into, { emoji }, { from, row: { at } }) {
      if (emoji !== '') into.reactions.push({ emoji, from, at })
    },
  },
  vote: {
    saying(into, { options }, { from, row: { at } }) {
      if (options.length > 0) into.votes.push({ options, from, at })
    },
  },
  rsvp: {
    saying(into, { response, extraGuests = 0 }, { from, row: { at } }) {
      into.responses.push({ response, extraGuests, from, at })
    },
  },
  edit: {
    by(into, { row }) {
      into.editedAt = row.at
    },
  },
  delete: {
    by(into, { row }) {
      into.deletedAt ??= row.at
    },
  },
  pin: {
    by(into, { row, now }) {
      // The latest in the chat counts, whoever it was.
      into.pinnedUntil = (row.until ?? 0) > now ? row.until : null
    },
  },
}
const ROWS = Object.entries(SHOWN).map(([type, shown]) => ({
  kind: ACT[type as ActionType],
  shown: shown as Shown<ActionType>,
}))
const BY_KIND = new Map(ROWS.map(({ kind, shown }) => [kind, shown]))
const SAYING = ROWS.filter(({ shown }) => 'saying' in shown).map(({ kind }) => kind)

/** What it says, when that is kept. */
function contentOf(session: NumberedSession, row: Row): ActionContent | null {
  if ((row.flags & FLAG.keepContent) === 0) return null
  const { content } = bodyOf(session.id, session.sealer, row)
  return isAction(content) && ACT[content.type] === row.kind ? content : null
}

type Touched = Pick<MessageRow, 'id' | 'from_me' | 'flags'>
export type AfterlifeOf = (row: Touched) => Afterlife

export function createAfterlives(
  database: Database,
  now: () => number,
): (session: NumberedSession, rows: readonly Touched[]) => AfterlifeOf {
  const query = (size: number) =>
    database.query<Row, SQLQueryBindings[]>(
      `SELECT x.target, x.kind, x.slot, x.at, x.until, x.side, a.id, a.from_me, a.type, a.flags,
       CASE WHEN x.kind IN (${SAYING.join()}) THEN a.body END AS body, p.lid, p.phone
       FROM acts x JOIN messages a ON a.number = x.action LEFT JOIN parties p ON p.number = x.slot
       WHERE x.session = ? AND x.target IN (${Array(size).fill('?').join()}) AND x.side IS NOT NULL
       ORDER BY x.at, x.action`,
    )

  function put(session: NumberedSession, into: Afterlife, row: Row): void {
    const shown = BY_KIND.get(row.kind)
    const from = row.slot === 0 ? ('me' as const) : partyOfRow({ ...row, jid: null })
    const applied = { row, from, now: now() }
    if (shown && 'by' in shown) shown.by(into, applied)
    const content = shown && 'saying' in shown ? contentOf(session, row) : null
    if (content && shown && 'saying' in shown) shown.saying(into, content, applied)
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
        const life = found.get(name) ?? { ...NO_AFTERLIFE, reactions: [], votes: [], responses: [] }
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
