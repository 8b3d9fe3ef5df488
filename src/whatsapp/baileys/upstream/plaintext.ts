/**
 * Upstream defect: Baileys takes a message that is not encrypted at all (`<plaintext>`) from anybody. WhatsApp's clients
 * know such only from channels, whose posts everybody can read; from a person it would be words that nobody has signed.
 *
 * Repair: the stanza is refused before Baileys sees it.
 *
 * Upstream repaired it when the test named "upstream: …" of `plaintext.test.ts` fails.
 */
import { type BinaryNode, isJidNewsletter } from '@whiskeysockets/baileys'

/** Whether a stanza holds words that are not encrypted and comes from no channel. */
export const isUnsealed = ({ attrs, content }: BinaryNode): boolean =>
  isJidNewsletter(attrs.from ?? '') !== true &&
  Array.isArray(content) &&
  content.some(({ tag }) => tag === 'plaintext')
