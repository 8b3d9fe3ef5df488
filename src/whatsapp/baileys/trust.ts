/**
 * Which server this process believes to be WhatsApp: the one place that sets the certificate root.
 *
 * The root is process-wide in Baileys (`WA_CERT_DETAILS`), so live or not is a property of the process. With WhatsApp's
 * own endpoint the built-in key is asserted and nothing here can change it.
 */
import { WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import type { Log } from '../../lib/log'

/** Where WhatsApp is, and whom to believe there. */
export type Endpoint = {
  /** WebSocket URL. */
  url: string
  /** The 32-byte public key that signs the certificate chain; null = WhatsApp's own. */
  rootKey: Uint8Array | null
  /** `host` or `host:port` of the media hosts; empty = WhatsApp's own (`*.whatsapp.net`). */
  mediaHosts: readonly string[]
  /** A certificate authority (PEM) for the media hosts, beside those the machine trusts. */
  mediaCa?: string
}

export const WHATSAPP_URL = 'wss://web.whatsapp.com/ws/chat'
export const WHATSAPP_ENDPOINT: Endpoint = { url: WHATSAPP_URL, rootKey: null, mediaHosts: [] }

const WHATSAPP_ROOT = Buffer.from('142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b', 'hex')

/** True for WhatsApp's own hosts, whatever the path: there the built-in root is the only one. */
export const isWhatsAppItself = (endpoint: Endpoint): boolean => {
  const host = new URL(endpoint.url).hostname
  return host === 'whatsapp.com' || host.endsWith('.whatsapp.com') || host.endsWith('.whatsapp.net')
}

/** Thrown when the configuration names a root for WhatsApp itself, or the built-in root is not the known one. */
export class TrustError extends Error {
  constructor(says: string) {
    super(says)
    this.name = 'TrustError'
  }
}

/** Sets the root of this process and says so; the returned function puts the previous one back. */
export function trust(endpoint: Endpoint, log: Log): () => void {
  const previous = WA_CERT_DETAILS.PUBLIC_KEY
  if (isWhatsAppItself(endpoint)) {
    if (endpoint.rootKey !== null)
      throw new TrustError('A root key needs a WHATSAPP_URL that is not WhatsApp itself')
    if (endpoint.mediaHosts.length > 0)
      throw new TrustError('Media hosts need a WHATSAPP_URL that is not WhatsApp itself')
    if (!WHATSAPP_ROOT.equals(previous))
      throw new TrustError('The built-in WhatsApp root key has been changed')
    log.info('Trusting WhatsApp’s own root key')
    return () => undefined
  }
  const root = Buffer.from(endpoint.rootKey ?? WHATSAPP_ROOT)
  if (root.length !== 32) throw new TrustError('A root key has 32 bytes')
  WA_CERT_DETAILS.PUBLIC_KEY = root
  log.warn('NOT WHATSAPP: this process trusts the root key of another server', {
    endpoint: new URL(endpoint.url).host,
    rootKey: root.toString('hex'),
  })
  return () => {
    WA_CERT_DETAILS.PUBLIC_KEY = previous
  }
}
