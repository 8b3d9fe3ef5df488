/**
 * What messages do to other messages: recorded, and applied once both are here.
 *
 * A reaction may arrive before what it is about, a deletion before the message; an edit of somebody who is known by two
 * addresses counts only when they are known to be one person. So an act is judged when it comes, when its target comes,
 * and when two addresses are joined; until then it is open and shows nowhere.
 */
import type { Database } from 'bun:sqlite'
import type { ActionContent, ActionType, MessageType } from '../domain/content'
import { isGroup } from '../domain/ids'
import { FIRST_ACTION, packId, statusOf, TYPE_CODE, typeOf } from './codes'
import type { Tx } from './group-commit'
import { hasWords, type MessageBodies, type StoredBody } from './message-bodies'
import { FLAG } from './message-rows'
import type { NumberedSession } from './numbers'

/** Types as they stand in the rows of acts. A number that was given is never given to anything else. */
export const ACT: { readonly [T in ActionType]: number } = {
  reaction: 1,
  vote: 2,
  edit: 3,
  delete: 4,
  pin: 5,
  rsvp: 6,
}

/** How long a pin lasts unless it says so itself (ms): what WhatsApp offers first. */
const PIN_LASTS = 7 * 86_400_000

export type ActionRow = StoredBody & {
  chat: number
  /** NULL for us, and when the chat itself has written it. */
  sender: number | null
  status: number
  timestamp: number
}
type Target = StoredBody & { chat: number; sender: number | null }
type OpenRow = ActionRow & { target: Uint8Array | string; until: number | null }
/** What an action does; `words` of an edit, null when they are not kept. */
type Act = {
  type: ActionType
  target: Uint8Array | string
  until: number | null
  words: () => string | null
}
type Verdict = 'applies' | 'open' | 'void'

type Rule = {
  /** A person's newer act takes the place of the older; otherwise each stands by itself. */
  replaces: boolean
  /** Of two acts in one chat; `own`: both are by the same person. */
  judge: (target: Target, own: boolean, inGroup: () => boolean) => Verdict
}
const always = (): Verdict => 'applies'
const onlyTo =
  (type: MessageType): Rule['judge'] =>
  (target) =>
    target.type === TYPE_CODE[type] ? 'applies' : 'void'

const RULES: { readonly [T in ActionType]: Rule } = {
  reaction: { replaces: true, judge: always },
  vote: { replaces: true, judge: onlyTo('poll') },
  rsvp: { replaces: true, judge: onlyTo('event') },
  pin: { replaces: true, judge: always },
  edit: {
    replaces: false,
    judge: (target, own) => (!hasWords(target.type) ? 'void' : own ? 'applies' : 'open'),
  },
  delete: {
    replaces: false,
    // In a group an admin may take back what others wrote; WhatsApp's clients check that.
    judge: (_target, own, inGroup) => (own || inGroup() ? 'applies' : 'open'),
  },
}

export interface Acts {
  /** An action has come from WhatsApp, or one of ours was acknowledged. */
  take(tx: Tx, session: NumberedSession, action: ActionRow, content: ActionContent): void
  /** A message is stored now for which acts may be waiting; true when some were. */
  arrived(tx: Tx, session: NumberedSession, target: Target): boolean
  /** Two addresses of a person are one row now. */
  joined(tx: Tx, session: NumberedSession, from: number, to: number): void
  forget(session: number): void
}

/** Who has written it, as a party; 0 = us. */
const authorOf = (row: { from_me: number; sender: number | null; chat: number }): number =>
  row.from_me === 1 ? 0 : (row.sender ?? row.chat)

const untilOf = (content: ActionContent, at: number): number | null => {
  if (content.type !== 'pin') return null
  if (!content.pinned) return 0
  return at + (content.seconds === undefined ? PIN_LASTS : content.seconds * 1_000)
}

const ACTION_ROWS =
  'a.number, a.id, a.from_me, a.type, a.flags, a.body, a.chat, a.sender, a.status, a.timestamp'

export function createActs(parts: {
  database: Database
  bodies: MessageBodies
  /** The file of a message that was taken back. */
  dropFile: (tx: Tx, session: number, messageId: Uint8Array | string) => void
}): Acts {
  const { database, bodies } = parts
  const targets = database.prepare<Target, [number, Uint8Array | string]>(
    'SELECT number, id, from_me, type, flags, body, chat, sender FROM messages WHERE session = ? AND id = ? ORDER BY from_me DESC',
  )
  const jidOf = database.prepare<{ jid: string | null }, [number]>('SELECT jid FROM parties WHERE number = ?')
  // What has been applied gives way only to what is newer, what is open to anything that applies.
  const put = database.prepare<
    unknown,
    [number, Uint8Array | string, number, number, number, number, number | null, number | null]
  >(
    `INSERT INTO acts (session, target, kind, slot, action, at, side, until) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET action = excluded.action, at = excluded.at, side = excluded.side, until = excluded.until
     WHERE (side IS NULL AND (excluded.side IS NOT NULL OR excluded.at >= at))
        OR (side IS NOT NULL AND excluded.side IS NOT NULL AND excluded.at >= at)`,
  )
  const drop = database.prepare<unknown, [number, Uint8Array | string, number, number, number]>(
    'DELETE FROM acts WHERE session = ? AND target = ? AND kind = ? AND slot = ? AND action = ?',
  )
  const touch = database.prepare<unknown, [number, number]>(
    'UPDATE messages SET flags = flags | ? WHERE number = ?',
  )
  const anyOf = database.prepare<{ one: number }, [number, Uint8Array | string]>(
    'SELECT 1 AS one FROM acts WHERE session = ? AND target = ? LIMIT 1',
  )
  const openOf = database.prepare<OpenRow, [number, Uint8Array | string]>(
    `SELECT ${ACTION_ROWS}, x.target, x.until FROM acts x JOIN messages a ON a.number = x.action
     WHERE x.session = ? AND x.target = ? AND x.side IS NULL ORDER BY x.at, x.action`,
  )
  const openBy = database.prepare<OpenRow, [number, number, number]>(
    `SELECT ${ACTION_ROWS}, x.target, x.until FROM acts x JOIN messages a ON a.number = x.action
     WHERE x.session = ? AND x.side IS NULL AND (a.chat = ? OR a.sender = ?) ORDER BY x.at, x.action`,
  )
  const editsOf = database.prepare<ActionRow, [number, Uint8Array | string, number]>(
    `SELECT ${ACTION_ROWS} FROM acts x JOIN messages a ON a.number = x.action
     WHERE x.session = ? AND x.target = ? AND x.kind = ${ACT.edit} AND x.side = ?`,
  )
  const laterEdit = database.prepare<{ one: number }, [number, Uint8Array | string, number, number]>(
    `SELECT 1 AS one FROM acts WHERE session = ? AND target = ? AND kind = ${ACT.edit} AND side = ? AND at > ? LIMIT 1`,
  )
  // Of two acts that turn out to be one person's, the newer stays.
  const dropOlder = database.prepare<unknown, [number, number]>(
    `DELETE FROM acts WHERE slot = ? AND slot > 0 AND EXISTS (SELECT 1 FROM acts o WHERE o.session = acts.session
     AND o.target = acts.target AND o.kind = acts.kind AND o.slot = ? AND o.at > acts.at)`,
  )
  const moveSlot = database.prepare<unknown, [number, number]>(
    'UPDATE OR REPLACE acts SET slot = ? WHERE slot = ? AND slot > 0',
  )
  const dropAll = database.prepare<unknown, [number]>('DELETE FROM acts WHERE session = ?')

  function verdict(action: ActionRow, target: Target): Verdict {
    if (target.type >= FIRST_ACTION) return 'void'
    // Nothing reaches across chats; two addresses of one person become one chat when that is known.
    if (action.chat !== target.chat) return 'open'
    const own = authorOf(action) === authorOf(target)
    const inGroup = () => isGroup(jidOf.get(target.chat)?.jid ?? '')
    return RULES[typeOf(action.type) as ActionType].judge(target, own, inGroup)
  }

  function erase(tx: Tx, session: NumberedSession, target: Target): void {
    bodies.erase(session, target)
    for (const edit of editsOf.all(session.number, target.id, target.from_me)) eraseEdit(session, edit)
    parts.dropFile(tx, session.number, target.id)
  }

  /** Its words were those of a message that is gone. */
  function eraseEdit(session: NumberedSession, edit: ActionRow): void {
    const { content } = bodies.open(session, edit)
    if (content.type === 'edit') bodies.erase(session, edit, { content: { ...content, text: '' } })
  }

  function apply(tx: Tx, session: NumberedSession, action: ActionRow, act: Act, target: Target): void {
    let flags: number = FLAG.touched
    const deleted = (target.flags & FLAG.deleted) !== 0
    if (act.type === 'edit') {
      if (deleted) eraseEdit(session, action)
      else if (!laterEdit.get(session.number, target.id, target.from_me, action.timestamp)) {
        bodies.reword(session, target, act.words())
      }
    }
    if (act.type === 'delete' && !deleted) {
      erase(tx, session, target)
      flags |= FLAG.deleted
    }
    touch.run(flags, target.number)
  }

  function judge(tx: Tx, session: NumberedSession, action: ActionRow, act: Act): void {
    const kind = ACT[act.type]
    const slot = RULES[act.type].replaces ? authorOf(action) : -action.number
    const found = targets
      .all(session.number, act.target)
      .map((target) => ({ target, verdict: verdict(action, target) }))
    if (found.length > 0 && found.every((one) => one.verdict === 'void')) {
      drop.run(session.number, act.target, kind, slot, action.number)
      return
    }
    const hit = found.find((one) => one.verdict === 'applies')
    const side = hit ? hit.target.from_me : null
    put.run(session.number, act.target, kind, slot, action.number, action.timestamp, side, act.until)
    if (hit) apply(tx, session, action, act, hit.target)
  }

  /** Content may not have been kept; whatever else matters stands in the act's own row. */
  function judgeStored(tx: Tx, session: NumberedSession, row: OpenRow): void {
    judge(tx, session, row, {
      type: typeOf(row.type) as ActionType,
      target: row.target,
      until: row.until,
      words() {
        const { content } = bodies.open(session, row)
        return content.type === 'edit' && (row.flags & FLAG.keepContent) !== 0 ? content.text : null
      },
    })
  }

  return {
    take(tx, session, action, content) {
      const kept = (action.flags & FLAG.keepContent) !== 0
      judge(tx, session, action, {
        type: content.type,
        target: packId(content.targetMessageId),
        until: untilOf(content, action.timestamp),
        words: () => (content.type === 'edit' && kept ? content.text : null),
      })
    },
    arrived(tx, session, target) {
      if (!anyOf.get(session.number, target.id)) return false
      for (const action of openOf.all(session.number, target.id)) judgeStored(tx, session, action)
      return true
    },
    joined(tx, session, from, to) {
      dropOlder.run(from, to)
      moveSlot.run(to, from)
      for (const action of openBy.all(session.number, to, to)) judgeStored(tx, session, action)
    },
    forget(session) {
      dropAll.run(session)
    },
  }
}

/** Whether an action counts: it came from others, or WhatsApp has taken it from us. */
export const counts = (status: number): boolean => {
  const name = statusOf(status)
  return name !== 'queued' && name !== 'failed'
}
