/**
 * One pairing window of a socket: the codes on show, when they end, and pairing codes asked for meanwhile.
 *
 * WhatsApp hands out about six refs; Baileys shows the first for 60 s and each other for 20 s, then gives up.
 */
import type { AuthenticationCreds, WABrowserDescription } from '@whiskeysockets/baileys'
import { fail } from '../../domain/errors'
import type { Report } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import {
  hearPairing,
  isPaired,
  type PairingSocket,
  requestPairingCode,
  withPresentSecret,
} from './upstream/pairing'

const FIRST_QR_MS = 60_000
const NEXT_QR_MS = 20_000
const CODE_QUERY_MS = 20_000

export type PairingWindowParts = {
  sock: PairingSocket
  creds: AuthenticationCreds
  browser: WABrowserDescription
  save: () => Promise<void>
  report: (report: Extract<Report, { kind: 'qr' }>) => void
  onPasskeyRequired: () => void
  clock: Clock
  log: Log
  qrTimeoutMs?: number
}

export interface PairingWindow {
  /** Baileys shows the next ref. */
  show(qrText: string): void
  /** The code for this number, the same one as long as the window is open. */
  code(phoneNumber: string): Promise<{ code: string; expiresAt: number }>
  /** The socket has ended; whoever still waits for a code is told. */
  end(): void
}

export function openPairingWindow(parts: PairingWindowParts): PairingWindow {
  const { sock, creds, clock } = parts
  const firstMs = parts.qrTimeoutMs ?? FIRST_QR_MS
  const nextMs = parts.qrTimeoutMs ?? NEXT_QR_MS
  const codes = new Map<string, Promise<string>>()
  const opened = Promise.withResolvers<{ endsAt: number }>()
  // Mostly nobody asks for a code, and nobody waits when the socket ends.
  opened.promise.catch(() => undefined)
  let shown: { text: string; expiresAt: number } | null = null

  hearPairing(sock, creds, {
    onWindow(refs) {
      opened.resolve({ endsAt: clock.now() + firstMs + nextMs * Math.max(0, refs - 1) })
    },
    onRefreshed(advSecretKey) {
      creds.advSecretKey = advSecretKey
      parts.log.info('WhatsApp has retired the QR secret; showing the same code with a new one')
      parts.save().then(tell, () => undefined)
    },
    onPasskeyRequired: parts.onPasskeyRequired,
  })

  function tell(): void {
    if (shown === null) return
    parts.report({ kind: 'qr', text: withPresentSecret(shown.text, creds), expiresAt: shown.expiresAt })
  }

  function ask(phoneNumber: string): Promise<string> {
    const { browser, save } = parts
    const asked = requestPairingCode({ sock, creds, browser, save, phoneNumber, timeoutMs: CODE_QUERY_MS })
    codes.set(phoneNumber, asked)
    asked.catch(() => codes.delete(phoneNumber))
    return asked
  }

  return {
    show(text) {
      shown = { text, expiresAt: clock.now() + (shown === null ? firstMs : nextMs) }
      tell()
    },
    async code(phoneNumber) {
      if (isPaired(creds)) throw fail('SESSION_ALREADY_CONNECTED')
      const { endsAt } = await opened.promise
      return { code: await (codes.get(phoneNumber) ?? ask(phoneNumber)), expiresAt: endsAt }
    },
    end: () => opened.reject(fail('SESSION_NOT_CONNECTED')),
  }
}
