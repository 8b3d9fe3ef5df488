/**
 * What a phone does for its companions: it accepts them, gives them the keys of the app state and a history to start
 * with, and helps out when they lack a message or a file.
 */
import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import { signGrant, signKeyIndexList } from './adv'
import { jidOf, parseJid } from './jid'
import { child, childBytes, childText, node, SERVER } from './node'
import type { PhoneAppState } from './phone-app-state'
import { type HistoryParts, historyPieces, webMessage } from './phone-history'
import type { PhoneJournal } from './phone-journal'
import { BrokenMedia, type MediaAccess, mediaOf, sealRetry, uploadFile } from './phone-media'
import type { PhoneOutbox } from './phone-outbox'
import { messageId } from './phone-outbox'
import { beginCodePairing, type CodePairing, finishCodePairing, PairingError, parseQr } from './phone-pairing'
import type { PhoneSignal } from './phone-signal'
import type { SandboxState } from './state'
import type { Device, PhoneUplink } from './types'

export type CompanionParts = {
  state: SandboxState
  scope: string
  uplink(): PhoneUplink
  signal: PhoneSignal
  journal: PhoneJournal
  outbox: PhoneOutbox
  own(): { pn: string; lid: string }
  appState: PhoneAppState
  /** How a history names messages, chats and people. */
  names: Omit<HistoryParts, 'journal' | 'appState' | 'own'>
  mediaAccess(): Promise<MediaAccess>
  /** Told of a piece of history that the media host did not take. */
  onUnsent(reason: string): void
  clock: Clock
  /** Runs work in the phone's one line of events. */
  inTurn<T>(work: () => Promise<T>): Promise<T>
  /** A new path for a file that its host no longer serves. */
  renewMedia(directPath: string): string | null
}

export interface PhoneCompanions {
  scan(qr: string): Promise<Device>
  enterCode(code: string): Promise<Device>
  unlink(deviceId: number): Promise<void>
  /** A `link_code_companion_reg` notification: somebody asks for a code, or answers one. */
  onCodeNotification(stanza: BinaryNode): void
  /** A companion has taken a peer message. */
  onPeerReceipt(from: string, id: string): Promise<void>
  /** What a companion asks its phone. */
  onPeer(from: string, id: string, message: proto.IMessage): Promise<void>
  /** A companion could not download a file. */
  onMediaRequest(receipt: BinaryNode): void
}

const CODE_PAIRING_TIMEOUT_MS = 20_000
/** A code can be on the companion's screen a moment before its request has reached the phone. */
const HELLO_WAIT_MS = 2_000

type Hello = { ref: string; wrapped: Buffer }
type Finish = { bundle: Buffer; companionIdentity: Buffer }

const MOST_INLINE_BYTES = 65_536
const { HistorySyncType } = proto.HistorySync
const PROTOCOL = proto.Message.ProtocolMessage.Type

/** Makes the companion side of a phone. */
export function createPhoneCompanions(parts: CompanionParts): PhoneCompanions {
  const { state, scope, uplink, signal, journal, outbox, own } = parts
  let hello: Hello | null = null
  let heard: (() => void) | null = null
  let finish: ((answer: Finish) => void) | null = null
  const seconds = () => Math.floor(parts.clock.now() / 1000)
  const history: HistoryParts = { journal, appState: parts.appState, own: own(), ...parts.names }
  const freshId = () => messageId(randomBytes(16))

  async function link(ref: string, companionIdentity: Buffer, advSecret: Buffer): Promise<Device> {
    const keyIndex = uplink().nextKeyIndex()
    const deviceIdentity = signGrant({
      primary: signal.identity.identity,
      companionIdentity,
      advSecret,
      rawId: randomBytes(4).readUInt32BE() >>> 1,
      keyIndex,
      timestamp: seconds(),
    })
    const device = await uplink().link(ref, { deviceIdentity, keyIndex })
    await parts.inTurn(async () => {
      await publishKeyIndexes()
      await shareAppStateKey(device.id)
    })
    return device
  }

  async function nextHello(): Promise<Hello> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = parts.clock.after(HELLO_WAIT_MS, resolve)
    heard = resolve
    await promise
    cancel()
    if (!hello) throw new PairingError('No companion has asked for a code for this number')
    return hello
  }

  async function publishKeyIndexes(): Promise<void> {
    const at = seconds()
    const validIndexes = [...uplink().account.devices.values()].map(({ keyIndex }) => keyIndex)
    const signed = signKeyIndexList(signal.identity.identity, { rawId: 1, timestamp: at, validIndexes })
    await uplink().query(
      node('iq', { type: 'set', xmlns: 'md', to: SERVER }, [
        node('key-index-list', { ts: String(at) }, signed),
      ]),
    )
  }

  async function shareAppStateKey(deviceId: number): Promise<void> {
    const { id: keyId, data } = await parts.appState.key()
    const fingerprint = { rawId: 1, currentIndex: 0, deviceIndexes: [0] }
    const keyData = { keyData: data, fingerprint, timestamp: parts.clock.now() }
    const id = freshId()
    // Until the companion has confirmed the key, it has not been through its first login, and must not get history:
    // a history that comes with the backlog would be overlooked, and the companion would wait for another.
    state.write(scope, new Map([[`owes-history ${deviceId}`, Buffer.from(id)]]))
    await outbox.sendToCompanion(deviceId, id, {
      protocolMessage: {
        type: PROTOCOL.APP_STATE_SYNC_KEY_SHARE,
        appStateSyncKeyShare: { keys: [{ keyId: { keyId }, keyData }] },
      },
    })
  }

  async function sendHistory(deviceId: number): Promise<void> {
    const linked = () => uplink().account.devices.has(deviceId)
    for (const piece of await historyPieces(history)) {
      try {
        if (linked()) await sendPiece(deviceId, piece)
      } catch (error) {
        // It can be unlinked at any moment, and the media host can refuse.
        if (error instanceof BrokenMedia) parts.onUnsent(error.message)
        else if (linked()) throw error
      }
    }
  }

  /** A short first piece travels in the message itself, the others by the media host. */
  async function sendPiece(deviceId: number, piece: proto.IHistorySync): Promise<void> {
    const payload = deflateSync(proto.HistorySync.encode(proto.HistorySync.fromObject(piece)).finish())
    const inline = piece.syncType === HistorySyncType.INITIAL_BOOTSTRAP && payload.length <= MOST_INLINE_BYTES
    const place = inline
      ? { initialHistBootstrapInlinePayload: payload }
      : await uploadFile(await parts.mediaAccess(), 'md-msg-hist', payload)
    const { syncType, chunkOrder, progress } = piece
    await outbox.sendToCompanion(deviceId, freshId(), {
      protocolMessage: {
        type: PROTOCOL.HISTORY_SYNC_NOTIFICATION,
        historySyncNotification: proto.Message.HistorySyncNotification.fromObject({
          ...{ syncType, chunkOrder, progress },
          ...place,
        }),
      },
    })
  }

  async function resend(
    deviceId: number,
    requestId: string,
    request: proto.Message.IPeerDataOperationRequestMessage,
  ) {
    const results: proto.Message.PeerDataOperationRequestResponseMessage.IPeerDataOperationResult[] = []
    for (const { messageKey } of request.placeholderMessageResendRequest ?? []) {
      const found = journal.find(messageKey?.id ?? '')
      const message = found && proto.WebMessageInfo.fromObject(await webMessage(found, history))
      results.push(
        message
          ? {
              placeholderMessageResendResponse: {
                webMessageInfoBytes: proto.WebMessageInfo.encode(message).finish(),
              },
            }
          : {},
      )
    }
    await outbox.sendToCompanion(deviceId, freshId(), {
      protocolMessage: {
        type: PROTOCOL.PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE,
        peerDataOperationRequestResponseMessage: {
          peerDataOperationRequestType: proto.Message.PeerDataOperationRequestType.PLACEHOLDER_MESSAGE_RESEND,
          stanzaId: requestId,
          peerDataOperationResult: results,
        },
      },
    })
  }

  return {
    async scan(qr) {
      const code = parseQr(qr)
      const companion = uplink().companionOf(code.ref)
      if (!companion) throw new PairingError('No companion shows this code (any more)')
      if (!companion.identityKey.equals(code.identityKey) || !companion.noiseKey.equals(code.noiseKey)) {
        throw new PairingError('This code shows other keys than the companion registered with')
      }
      return link(code.ref, code.identityKey, code.advSecret)
    },

    async enterCode(code) {
      const { ref, wrapped } = hello ?? (await nextHello())
      const pairing: CodePairing & { wrapped: Buffer } = beginCodePairing(code, wrapped)
      const { promise, resolve, reject } = Promise.withResolvers<Finish>()
      const cancel = parts.clock.after(CODE_PAIRING_TIMEOUT_MS, () =>
        reject(new PairingError('The companion did not answer the code')),
      )
      finish = resolve
      try {
        await uplink().query(
          node('iq', { type: 'set', xmlns: 'md', to: SERVER }, [
            node('link_code_companion_reg', { stage: 'primary_hello' }, [
              node('link_code_pairing_wrapped_primary_ephemeral_pub', {}, pairing.wrapped),
              node('primary_identity_pub', {}, signal.identity.identity.public),
              node('link_code_pairing_ref', {}, ref),
            ]),
          ]),
        )
        const { bundle, companionIdentity } = await promise
        const derived = finishCodePairing(pairing, signal.identity.identity, companionIdentity, bundle)
        const device = await link(ref, derived.companionIdentity, derived.advSecret)
        hello = null
        return device
      } finally {
        cancel()
        finish = null
      }
    },

    async unlink(deviceId) {
      uplink().unlink(deviceId)
      await parts.inTurn(async () => {
        await signal.dropSession(jidOf(parseJid(own().pn)?.user ?? '', 's.whatsapp.net', deviceId))
        await publishKeyIndexes()
        signal.commit()
      })
    },

    onCodeNotification(stanza) {
      const reg = child(stanza, 'link_code_companion_reg')
      if (reg?.attrs.stage === 'companion_hello') {
        const wrapped = childBytes(reg, 'link_code_pairing_wrapped_companion_ephemeral_pub')
        const ref = childText(reg, 'link_code_pairing_ref')
        if (wrapped && ref) hello = { ref, wrapped }
        heard?.()
      }
      if (reg?.attrs.stage === 'companion_finish') {
        const bundle = childBytes(reg, 'link_code_pairing_wrapped_key_bundle')
        const companionIdentity = childBytes(reg, 'companion_identity_public')
        if (bundle && companionIdentity) finish?.({ bundle, companionIdentity })
      }
    },

    async onPeerReceipt(from, id) {
      const deviceId = parseJid(from)?.device ?? 0
      if (state.get(scope, `owes-history ${deviceId}`)?.toString() !== id) return
      state.write(scope, new Map([[`owes-history ${deviceId}`, null]]))
      await sendHistory(deviceId)
    },

    async onPeer(from, id, { protocolMessage }) {
      const request = protocolMessage?.peerDataOperationRequestMessage
      const { PLACEHOLDER_MESSAGE_RESEND } = proto.Message.PeerDataOperationRequestType
      if (request?.peerDataOperationRequestType === PLACEHOLDER_MESSAGE_RESEND) {
        await resend(parseJid(from)?.device ?? 0, id, request)
      }
    },

    onMediaRequest(receipt) {
      const { id = '', from } = receipt.attrs
      const rmr = child(receipt, 'rmr')
      const found = journal.find(id)
      const media = found && mediaOf(found.message)
      const { mediaKey, directPath } = media?.file ?? {}
      const renewed = directPath ? parts.renewMedia(directPath) : null
      const { ResultType } = proto.MediaRetryNotification
      const answer = proto.MediaRetryNotification.encode({
        stanzaId: id,
        ...(renewed ? { result: ResultType.SUCCESS, directPath: renewed } : { result: ResultType.NOT_FOUND }),
      }).finish()
      const content = mediaKey
        ? sealRetry(mediaKey, id, answer)
        : node('error', { code: String(ResultType.NOT_FOUND) })
      uplink().send(
        node('notification', { to: from, type: 'mediaretry', id }, [content, ...(rmr ? [rmr] : [])]),
      )
    },
  }
}
