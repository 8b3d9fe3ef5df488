/** The redacted stanza log behind `GET /sandbox/log`: who said what kind of thing to whom, never the content. */
import type { BinaryNode } from '@whiskeysockets/baileys'

/** A stanza as it may be shown: names and sizes. */
export type LoggedNode = {
  tag: string
  attrs: Record<string, string>
  /** Size of the content in bytes, when it is not a list of children. */
  bytes?: number
  children?: LoggedNode[]
}

export type LogEntry = {
  seq: number
  /** Milliseconds since the epoch. */
  at: number
  /** `in`: from the device to the server. */
  direction: 'in' | 'out'
  /** Null while a connection has not logged in. */
  phoneNumber: string | null
  deviceId: number | null
  stanza: LoggedNode
}

type Raw = Omit<LogEntry, 'stanza'> & { stanza: BinaryNode }

/** Attributes that say nothing secret; everything else shows as `…`. */
const OPEN_ATTRIBUTES = new Set(
  `id to from type class xmlns participant recipient t offline count reason code text error name version value jid lid
  mode context index last category addressing_mode sender_pn sender_lid participant_pn participant_lid phone_number
  peer_recipient_pn peer_recipient_lid stage key-index v mediatype decrypt-fail device_fanout edit action dirty size
  message receipt notification call message_count subject creation creator s_t s_o expiration phash state return_snapshot
  has_more_patches pn_jid call-id call-creator media hostname ttl`.split(/\s+/),
)
const DEPTH = 4
const WIDTH = 20

/** A ring of the latest stanzas. They are summarised when read, so that writing costs next to nothing. */
export class StanzaLog {
  readonly #ring: Raw[] = []
  #seq = 0
  #listener: () => void = () => {}

  constructor(
    readonly now: () => number,
    readonly capacity = 2000,
  ) {}

  /** Calls `listener` after each stanza: the world may have changed. */
  onRecord(listener: () => void): void {
    this.#listener = listener
  }

  record(
    direction: 'in' | 'out',
    device: { phoneNumber: string; deviceId: number } | null,
    stanza: BinaryNode,
  ): void {
    const seq = ++this.#seq
    this.#ring[(seq - 1) % this.capacity] = {
      seq,
      at: this.now(),
      direction,
      phoneNumber: device?.phoneNumber ?? null,
      deviceId: device?.deviceId ?? null,
      stanza,
    }
    this.#listener()
  }

  /** Oldest first; only entries after `seq`, of one phone number, with one tag, if asked. */
  entries(filter: { after?: number; phoneNumber?: string; tag?: string } = {}): LogEntry[] {
    return [...this.#ring]
      .sort((a, b) => a.seq - b.seq)
      .filter((entry) => entry.seq > (filter.after ?? 0))
      .filter((entry) => filter.phoneNumber === undefined || entry.phoneNumber === filter.phoneNumber)
      .filter((entry) => filter.tag === undefined || entry.stanza.tag === filter.tag)
      .map((entry) => ({ ...entry, stanza: redact(entry.stanza, DEPTH) }))
  }
}

/** Names, harmless attributes and sizes of a stanza. */
export function redact(stanza: BinaryNode, depth = DEPTH): LoggedNode {
  const attrs: Record<string, string> = {}
  for (const [key, value] of Object.entries(stanza.attrs)) attrs[key] = OPEN_ATTRIBUTES.has(key) ? value : '…'
  const { content } = stanza
  if (content === undefined) return { tag: stanza.tag, attrs }
  if (!Array.isArray(content)) return { tag: stanza.tag, attrs, bytes: content.length }
  if (depth === 0) return { tag: stanza.tag, attrs, children: [] }
  const children = content.slice(0, WIDTH).map((item) => redact(item, depth - 1))
  if (content.length > WIDTH) children.push({ tag: '…', attrs: { count: String(content.length - WIDTH) } })
  return { tag: stanza.tag, attrs, children }
}
