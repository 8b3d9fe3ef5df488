/** What a query is about. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { child } from '../node'
import { Refusal } from '../refusal'

/** The single child a query is about; refuses a query without one. */
export function subject(request: BinaryNode): BinaryNode {
  const item = child(request)
  if (item === undefined) throw new Refusal(400, 'bad-request')
  return item
}
