/**
 * A data directory belongs to one kind of WhatsApp. Pairings made with the sandbox mean nothing to WhatsApp, and real
 * ones must never be shown to a pretended one.
 */
import type { Config } from '../config'
import { ConfigError } from '../config'
import type { Session } from '../domain/session'

/** `other`: a server named by WHATSAPP_URL. */
export type Purpose = 'whatsapp' | 'sandbox' | 'other'

export const purposeOf = (config: Pick<Config, 'sandbox' | 'whatsappUrl'>): Purpose =>
  config.sandbox ? 'sandbox' : config.whatsappUrl === null ? 'whatsapp' : 'other'

const MARK = 'purpose'
const NAMES: Record<Purpose, string> = {
  whatsapp: 'WhatsApp itself',
  sandbox: 'the sandbox',
  other: 'another WhatsApp endpoint (WHATSAPP_URL)',
}

type Marked = {
  meta: { get(name: string): string | null; set(name: string, value: string): void }
  sessions: { all(): Pick<Session, 'credentials'>[] }
}

/** Marks the storage for this purpose; throws `ConfigError` when it holds pairings of another one. */
export function claimPurpose({ meta, sessions }: Marked, purpose: Purpose): void {
  const mark = meta.get(MARK)
  if (mark === purpose) return
  const paired = sessions.all().filter(({ credentials }) => credentials !== 'none').length
  if (mark !== null && paired > 0) {
    const holder = NAMES[mark as Purpose] ?? mark
    throw new ConfigError([
      {
        name: 'DATA_DIR',
        says: `This directory holds ${paired} pairing(s) with ${holder} and cannot be used with ${NAMES[purpose]}; use another DATA_DIR`,
      },
    ])
  }
  meta.set(MARK, purpose)
}
