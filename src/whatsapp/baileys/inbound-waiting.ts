/**
 * Rows of earlier connections that still wait to be handled, by what they hold.
 *
 * A connection that is cut in the middle of a backlog has WhatsApp send all of it again that has no receipt yet, at each
 * login. What waits on disk already needs no second row: ten thousand messages and fifty cuts once made three hundred
 * thousand.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { InboxRow } from '../../domain/ownership'
import { sha256Hex } from '../../lib/token'
import { presentForm, stanzaBytes } from './stanza-bytes'

export interface Waiting {
  /** A row that holds this very stanza waits, and will be handled with its receipt. */
  has(node: BinaryNode): boolean
  /** Its turn has come and gone: a copy that comes now is a new one. */
  handled(row: InboxRow): void
}

/** What two deliveries of one stanza have in common: all but its place in the queue of an absence. */
function printOf(node: BinaryNode): string {
  const { offline: _, ...attrs } = node.attrs
  return sha256Hex(stanzaBytes({ ...node, attrs }))
}

/** Looks through the rows once; costs nothing per stanza when there are none. */
export function waitingRows(rows: readonly InboxRow[]): Waiting {
  const prints = new Map<number, string>()
  const waiting = new Set<string>()
  for (const row of rows) {
    const print = printOfRow(row)
    if (print === null) continue
    prints.set(row.id, print)
    waiting.add(print)
  }
  return {
    has: (node) => waiting.size > 0 && waiting.has(printOf(node)),
    handled({ id }) {
      waiting.delete(prints.get(id) ?? '')
      prints.delete(id)
    },
  }
}

/** Null for a row that cannot be read or is in an older form; its copies get rows of their own. */
function printOfRow({ stanza }: InboxRow): string | null {
  try {
    const node = presentForm(stanza)
    return node && printOf(node)
  } catch {
    return null
  }
}
