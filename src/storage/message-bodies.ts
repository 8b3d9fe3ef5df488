/** What happens to the content of a stored message: new words, taken back, its file attached. */
import type { Database } from 'bun:sqlite'
import type { Content } from '../domain/content'
import { type Body, blankBody, encodeBody, PLAIN } from './body'
import { typeOf, unpackId } from './codes'
import { blobOf, bodyOf, FLAG, hidden } from './message-rows'
import type { NumberedSession } from './numbers'

export type StoredBody = {
  number: number
  id: Uint8Array | string
  from_me: number
  type: number
  flags: number
  body: Uint8Array | null
}

/** The encoded message with other words; null when it has none that can be replaced. */
export type Reword = (raw: Uint8Array, text: string) => Uint8Array | null

export interface MessageBodies {
  open(session: NumberedSession, row: StoredBody): Body
  /** Puts other words in the place of its text or caption; null = they are not kept, and what stands there is untrue. */
  reword(session: NumberedSession, row: StoredBody, text: string | null): void
  /** Takes the content of a message away, for good; its type and who wrote it stay. */
  erase(session: NumberedSession, row: StoredBody, also?: Partial<Body>): void
  /** Completes the encoded form; true when it was another one before. */
  attach(session: NumberedSession, row: StoredBody, raw: Uint8Array): boolean
}

/** The content with other words, null when it is of a type that has none. */
function rewordedContent(content: Content, text: string): Content | null {
  switch (content.type) {
    case 'text': {
      // The card below belonged to a link of the old words.
      const { linkPreview: _, ...rest } = content
      return { ...rest, text }
    }
    case 'image':
    case 'video':
    case 'document':
      return { ...content, caption: text }
    default:
      return null
  }
}

/** Whether messages of this type have words that their author can replace. */
export const hasWords = (type: number): boolean =>
  rewordedContent(blankBody(typeOf(type)).content, '') !== null

export function createMessageBodies(parts: {
  database: Database
  reword: Reword
  /** Its blob is about to change; `told` is the number of the event that may be packed beside it. */
  onChange: (row: StoredBody, told: number) => void
  /** The row says something else now. */
  onChanged: (session: NumberedSession, row: StoredBody, content: Content | null) => void
}): MessageBodies {
  const { onChanged } = parts
  const put = parts.database.prepare<unknown, [Uint8Array | null, number, number]>(
    'UPDATE messages SET body = ?, flags = flags | ? WHERE number = ?',
  )
  const putAttached = parts.database.prepare<unknown, [Uint8Array | null, number]>(
    'UPDATE messages SET body = ?, attachment = NULL WHERE number = ?',
  )

  const toldOf = parts.database.prepare<{ told: number | null }, [number]>(
    'SELECT told FROM messages WHERE number = ?',
  )

  function detach(row: StoredBody): void {
    const told = toldOf.get(row.number)?.told ?? null
    if (told !== null) parts.onChange(row, told)
  }

  const open = (session: NumberedSession, row: StoredBody): Body => bodyOf(session.id, session.sealer, row)

  /** Sealed when it was. */
  const blob = (session: NumberedSession, row: StoredBody, body: Body): Uint8Array =>
    blobOf(encodeBody(body), row.body?.[0] === PLAIN ? null : session.sealer, {
      sessionId: session.id,
      fromMe: row.from_me === 1,
      id: unpackId(row.id),
    })

  return {
    open,
    reword(session, row, text) {
      if (row.body === null) return
      detach(row)
      const body = open(session, row)
      const raw = body.raw && text !== null ? parts.reword(body.raw, text) : null
      const flags = raw === null ? FLAG.outdated : 0
      if ((row.flags & FLAG.keepContent) === 0) {
        put.run(raw && blob(session, row, { ...hidden(typeOf(row.type), body), raw }), flags, row.number)
        return
      }
      const content = text === null ? null : rewordedContent(body.content, text)
      // A file is opened with the keys in the encoded form, whatever is written below it.
      const kept = raw ?? (body.content.type === 'text' ? null : body.raw)
      const next = content
        ? { ...body, content, raw: kept }
        : { ...hidden(typeOf(row.type), body), raw: kept }
      put.run(blob(session, row, next), flags, row.number)
      onChanged(session, row, content)
    },
    erase(session, row, also) {
      detach(row)
      const { senderName } = open(session, row)
      const keeps = (row.flags & FLAG.keepContent) !== 0 && row.body !== null
      const rest = { ...blankBody(typeOf(row.type)), senderName, ...also }
      put.run(keeps ? blob(session, row, rest) : null, FLAG.outdated, row.number)
      onChanged(session, row, null)
    },
    attach(session, row, raw) {
      const body = open(session, row)
      const isNew = body.raw === null || !Buffer.from(body.raw).equals(raw)
      detach(row)
      putAttached.run(blob(session, row, { ...body, raw }), row.number)
      return isNew
    },
  }
}
