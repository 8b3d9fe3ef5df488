/**
 * Upstream defect: a file that can be opened once and that only the phone got comes as `<unavailable>` with one of two
 * types; Baileys tells of `view_once` and drops a stanza with `view_once_unavailable_fanout` without a word to anybody.
 *
 * Repair: the one is written for the other before Baileys sees the stanza.
 *
 * Upstream repaired it when the test named "upstream: …" of `hostile.test.ts` fails.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'

const KNOWN = 'view_once'
const TYPES: ReadonlySet<string> = new Set([KNOWN, 'view_once_unavailable_fanout'])

/** Whether a part of a stanza says that a file was withheld. */
export const isWithholding = ({ tag, attrs }: BinaryNode): boolean =>
  tag === 'unavailable' && TYPES.has(attrs.type ?? '')

/** The stanza with the type that Baileys knows. */
export function withKnownType(node: BinaryNode): BinaryNode {
  if (!Array.isArray(node.content) || !node.content.some(isWithholding)) return node
  const content = node.content.map((part) =>
    isWithholding(part) ? { ...part, attrs: { ...part.attrs, type: KNOWN } } : part,
  )
  return { ...node, content }
}
