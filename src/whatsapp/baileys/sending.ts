/** Messages on their way out of one socket: framed, encrypted, written after their commit, and acknowledged or not. */
import {
  type AuthenticationCreds,
  isJidNewsletter,
  type proto as Proto,
  proto,
  type WASocket,
} from '@whiskeysockets/baileys'
import { type Acknowledgement, type Outgoing, SendUnconfirmed } from '../../domain/whatsapp'
import { faultPoint } from '../../lib/fault-points'
import type { AuthState } from './auth-state'
import { channelNode } from './channel-posts'
import { disconnectOf } from './close-codes'
import { putBehind } from './content/behind'
import { ownAddresses } from './people'
import { frameOf } from './relay'
import { identityOf } from './reports'
import type { Acknowledgements } from './upstream/acknowledgements'
import type { StaleResends } from './upstream/stale-resends'

export type SenderParts = {
  sock: Pick<WASocket, 'relayMessage' | 'sendNode'>
  creds: AuthenticationCreds
  auth: Pick<AuthState, 'follow'>
  acks: Acknowledgements
  resends: StaleResends
  /** The encoded message sent or received under an id. */
  raw: (messageId: string) => Uint8Array | null
  isOver: () => boolean
}

const { REVOKE } = proto.Message.ProtocolMessage.Type

/** `Connection.send` of one socket. */
export function createSender(parts: SenderParts): (message: Outgoing) => Promise<Acknowledgement> {
  const { sock, creds, auth, acks, resends, isOver } = parts

  function relay(message: Proto.IMessage, { id, to, audience = [] }: Outgoing): Promise<unknown> {
    const me = ownAddresses(identityOf(creds))[0] ?? null
    return sock.relayMessage(to, message, {
      ...frameOf(message, to, audience, me),
      messageId: id,
      useCachedGroupMetadata: true,
    })
  }

  /** How it leaves, and the id under which the server answers. */
  function wayOf(message: Proto.IMessage, out: Outgoing): { id: string; leave: () => Promise<unknown> } {
    if (!isJidNewsletter(out.to)) return { id: out.id, leave: () => relay(message, out) }
    const node = channelNode(message, out, parts.raw)
    return { id: node.attrs.id ?? out.id, leave: () => sock.sendNode(node) }
  }

  return async (out) => {
    if (isOver()) throw new SendUnconfirmed('The connection has ended')
    // Its failure ends the socket by itself.
    if (out.stored) auth.follow(out.stored).catch(() => undefined)
    const message = proto.Message.decode(out.raw)
    const { protocolMessage } = message
    if (protocolMessage?.type === REVOKE) resends.takenBack(protocolMessage.key?.id ?? '')
    const { id, leave } = wayOf(message, out)
    const answer = acks.expect(id)
    try {
      // Baileys may go on waiting after the end for an answer that cannot come any more.
      await Promise.race([leave(), answer])
    } catch (error) {
      acks.forget(id)
      if (!isOver() && !isConnectionTrouble(error)) throw error
      throw new SendUnconfirmed('The connection ended before the message left')
    }
    acks.written(id)
    faultPoint('frame written')
    const { at, serverId } = await answer
    faultPoint('acknowledgement arrived')
    return { at, ...(serverId === null ? {} : { raw: putBehind(out.raw, 'serverId', serverId) }) }
  }
}

/** The socket went while Baileys was preparing something. */
export function isConnectionTrouble(error: unknown): boolean {
  const { code } = disconnectOf(error)
  return code === 428 || code === 408
}
