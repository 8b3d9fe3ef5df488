/**
 * Upstream defects of pairing.
 *
 * - WhatsApp retires the secret in the QR by `companion_reg_refresh`; Baileys drops that notification and keeps showing
 *   the dead code. It cannot even acknowledge it, for the acknowledgement reads the own number that is not there yet.
 * - Accounts that demand a passkey send a prologue that Baileys drops: the codes rotate and nothing can come of them.
 * - `requestPairingCode` presets `creds.me`; when nobody types the code, the next connect is taken for a login (401).
 *   It does not wait for the answer either, so a refused number looks like a valid code.
 *
 * Repair: hear the notifications; build every QR from the present secret; "paired" means `creds.account`, and without
 * it a new window starts from clean credentials; ask for the code ourselves and wait for the answer.
 *
 * Upstream repaired it when the tests named "upstream: …" of `pairing.test.ts` fail.
 */
import { randomBytes } from 'node:crypto'
import {
  type AuthenticationCreds,
  aesEncryptCTR,
  type BinaryNode,
  bytesToCrockford,
  derivePairingCodeKey,
  getBinaryNodeChild,
  getCompanionPlatformId,
  S_WHATSAPP_NET,
  type WABrowserDescription,
} from '@whiskeysockets/baileys'
import { fail } from '../../../domain/errors'
import type { SocketEvents } from './raw-socket'

/** The parts of a Baileys socket that pairing needs. */
export type PairingSocket = {
  ws: SocketEvents
  sendNode(node: BinaryNode): Promise<void>
  query(node: BinaryNode, timeoutMs?: number): Promise<BinaryNode | undefined>
}

/** A phone has granted this device. Nothing else says so (`registered` only becomes true with a code). */
export const isPaired = (creds: AuthenticationCreds): boolean =>
  creds.account !== undefined && creds.account !== null

/** Forgets what an abandoned pairing left; true when there was something. */
export function forgetAbandonedPairing(creds: AuthenticationCreds): boolean {
  if (isPaired(creds)) return false
  const stale = creds.me !== undefined || creds.pairingCode !== undefined || creds.registered
  delete creds.me
  creds.pairingCode = undefined
  creds.registered = false
  return stale
}

/** `…#ref,noise,identity,secret,platform` with the secret that holds now. */
export function withPresentSecret(qrText: string, creds: AuthenticationCreds): string {
  const hash = qrText.indexOf('#')
  const fields = qrText.slice(hash + 1).split(',')
  fields[3] = creds.advSecretKey
  return qrText.slice(0, hash + 1) + fields.join(',')
}

export type PairingNews = {
  /** The secret was replaced: the same ref needs a new picture. */
  onRefreshed: (advSecretKey: string) => void
  onPasskeyRequired: () => void
  /** The window opened with this many refs. */
  onWindow: (refs: number) => void
}

const PASSKEY_NOTIFICATIONS = ['passkey_prologue_request', 'crsc_continuation'] as const

/** Hears what WhatsApp says while a device is being linked. */
export function hearPairing(sock: PairingSocket, creds: AuthenticationCreds, news: PairingNews): void {
  let codeIsBeingExchanged = false

  const acknowledge = (node: BinaryNode) => {
    // Baileys acknowledges by itself as soon as it knows its own number.
    if (creds.me?.id) return
    const { id, from, type } = node.attrs
    const attrs: Record<string, string> = { class: 'notification', to: from ?? S_WHATSAPP_NET }
    if (id !== undefined) attrs.id = id
    if (type !== undefined) attrs.type = type
    sock.sendNode({ tag: 'ack', attrs }).catch(() => undefined)
  }

  sock.ws.on('CB:iq,type:set,pair-device', (node: BinaryNode) => {
    const window = getBinaryNodeChild(node, 'pair-device')
    const refs = Array.isArray(window?.content) ? window.content.filter((child) => child.tag === 'ref') : []
    news.onWindow(refs.length)
  })
  sock.ws.on('CB:notification,type:link_code_companion_reg', () => {
    codeIsBeingExchanged = true
  })
  sock.ws.on('CB:notification,type:companion_reg_refresh', (node: BinaryNode) => {
    acknowledge(node)
    // The exchange of a pairing code derives its own secret; replacing that one would break it.
    if (isPaired(creds) || codeIsBeingExchanged) return
    news.onRefreshed(randomBytes(32).toString('base64'))
  })
  for (const type of PASSKEY_NOTIFICATIONS) {
    sock.ws.on(`CB:notification,type:${type}`, (node: BinaryNode) => {
      acknowledge(node)
      if (!isPaired(creds)) news.onPasskeyRequired()
    })
  }
}

export type CodeRequest = {
  sock: PairingSocket
  creds: AuthenticationCreds
  browser: WABrowserDescription
  /** Puts the changed credentials on disk. */
  save: () => Promise<void>
  phoneNumber: string
  timeoutMs: number
}

/** Asks WhatsApp for a code that the owner of `phoneNumber` can type; rejects with `PAIRING_CODE_REFUSED`. */
export async function requestPairingCode(request: CodeRequest): Promise<string> {
  const { sock, creds, browser, phoneNumber } = request
  const jid = `${phoneNumber}@s.whatsapp.net`
  const code = bytesToCrockford(randomBytes(5))
  creds.pairingCode = code
  creds.me = { id: jid, name: '~' }
  await request.save()

  const salt = randomBytes(32)
  const iv = randomBytes(16)
  const ephemeral = aesEncryptCTR(
    creds.pairingEphemeralKeyPair.public,
    await derivePairingCodeKey(code, salt),
    iv,
  )
  const child = (tag: string, content: Uint8Array | string): BinaryNode => ({ tag, attrs: {}, content })
  const hello: BinaryNode = {
    tag: 'iq',
    attrs: { to: S_WHATSAPP_NET, type: 'set', xmlns: 'md' },
    content: [
      {
        tag: 'link_code_companion_reg',
        attrs: { jid, stage: 'companion_hello', should_show_push_notification: 'true' },
        content: [
          child('link_code_pairing_wrapped_companion_ephemeral_pub', Buffer.concat([salt, iv, ephemeral])),
          child('companion_server_auth_key_pub', creds.noiseKey.public),
          child('companion_platform_id', getCompanionPlatformId(browser)),
          child('companion_platform_display', `${browser[1]} (${browser[0]})`),
          child('link_code_pairing_nonce', '0'),
        ],
      },
    ],
  }
  try {
    const answer = await sock.query(hello, request.timeoutMs)
    if (answer === undefined) throw new Error('WhatsApp did not answer')
  } catch (error) {
    forgetAbandonedPairing(creds)
    await request.save()
    throw fail('PAIRING_CODE_REFUSED', { reason: error instanceof Error ? error.message : String(error) })
  }
  return code
}
