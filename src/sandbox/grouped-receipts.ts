/**
 * The other form of a group's receipts (wire notes §6.4): one stanza for a message, all its readers inside. WhatsApp may
 * use it for what gathered while a client was away; clients that only look for `participant` overlook it.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { isGroup } from './jid'
import { node } from './node'

/** A queue in which the receipts of groups stand together, in the place of the first of each. */
export function groupReceipts(pending: readonly BinaryNode[]): BinaryNode[] {
  const merged: BinaryNode[] = []
  const open = new Map<string, BinaryNode[]>()
  for (const stanza of pending) {
    if (!isGroupable(stanza)) {
      merged.push(stanza)
      continue
    }
    const { id, from, type, participant, t } = stanza.attrs
    const name = `${from} ${id} ${type ?? ''}`
    const reader = node('user', { jid: participant, t })
    const known = open.get(name)
    if (known !== undefined) {
      known.push(reader)
      continue
    }
    const readers = [reader]
    open.set(name, readers)
    merged.push(node('receipt', { from, id, type, t }, [node('participants', { key: id }, readers)]))
  }
  return merged
}

/** Deliveries and readings; what is for one device, such as a retry, is not news for a list. */
const GROUPABLE: ReadonlySet<string | undefined> = new Set([undefined, 'read', 'played'])

const isGroupable = ({ tag, attrs, content }: BinaryNode): boolean =>
  tag === 'receipt' &&
  isGroup(attrs.from ?? '') &&
  attrs.participant !== undefined &&
  GROUPABLE.has(attrs.type) &&
  content === undefined
