/**
 * Upstream defect: Baileys keeps the answer to “where do files go?” as a promise, also when it has failed; after one
 * time-out no upload of that socket ever works again. Repair: our own question, whose failures are forgotten.
 */
import {
  type BinaryNode,
  getBinaryNodeChild,
  getBinaryNodeChildren,
  S_WHATSAPP_NET,
} from '@whiskeysockets/baileys'
import type { Clock } from '../../lib/clock'

/** Where files go, and the permission to leave them there. */
export type MediaConn = { hosts: { hostname: string; maxBytes: number | null }[]; auth: string }

export type MediaConnParts = {
  query: (node: BinaryNode, timeoutMs: number) => Promise<BinaryNode | undefined>
  clock: Clock
}

const ANSWER_MS = 20_000
/** When the answer does not say how long it holds (s). */
const DEFAULT_TTL = 60

/** Asks when nothing is known, when what is known is too old, or when told to ask `anew`; once for all who wait. */
export function createMediaConn({ query, clock }: MediaConnParts): (anew?: boolean) => Promise<MediaConn> {
  let known: { conn: MediaConn; until: number } | null = null
  let asking: Promise<MediaConn> | null = null

  async function ask(): Promise<MediaConn> {
    const answer = await query(question(), ANSWER_MS)
    const node = answer && getBinaryNodeChild(answer, 'media_conn')
    const auth = node?.attrs.auth
    const hosts = getBinaryNodeChildren(node, 'host').flatMap(({ attrs }) =>
      attrs.hostname
        ? [{ hostname: attrs.hostname, maxBytes: Number(attrs.maxContentLengthBytes) || null }]
        : [],
    )
    if (!auth || hosts.length === 0) throw new Error('WhatsApp names no media host')
    const conn = { hosts, auth }
    known = { conn, until: clock.monotonic() + (Number(node.attrs.ttl) || DEFAULT_TTL) * 1_000 }
    return conn
  }

  return (anew = false) => {
    if (!anew && known && clock.monotonic() < known.until) return Promise.resolve(known.conn)
    asking ??= ask().finally(() => {
      asking = null
    })
    return asking
  }
}

/** A new one each time: Baileys writes the query's id into it. */
const question = (): BinaryNode => ({
  tag: 'iq',
  attrs: { type: 'set', xmlns: 'w:m', to: S_WHATSAPP_NET },
  content: [{ tag: 'media_conn', attrs: {} }],
})
