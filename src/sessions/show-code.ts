/** Tells of a new QR code, picture and all; momentary, for the code is a live secret. */
import type { Journal } from '../domain/journal'
import type { Session } from '../domain/session'
import { isoTime } from '../lib/clock'
import type { Log } from '../lib/log'
import { sessionEvent } from './payload'
import { qrDataUrl } from './qr-image'

/** `session.qr_generated` with `qrCode`, `qrText` and `expiresAt` (contract §6). */
export async function showCode(
  { journal, log }: { journal: Journal; log: Log },
  session: Session,
  { text, expiresAt }: { text: string; expiresAt: number },
): Promise<void> {
  try {
    const qrCode = await qrDataUrl(text)
    const fields = { qrCode, qrText: text, expiresAt: isoTime(expiresAt) }
    journal.tell(sessionEvent(session, 'session.qr_generated', fields))
  } catch (error) {
    log.error('A QR code could not be drawn', { error: String(error) })
  }
}
