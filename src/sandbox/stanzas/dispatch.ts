/** Where each stanza goes: one table by tag, one by the namespace of queries. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { node, SERVER } from '../node'
import { Refusal, Violation } from '../refusal'
import { entryOf } from '../table'
import type { Origin, World } from '../world'
import { handleAccount, handleBlocklist, handlePassive, handlePrivacy } from './account'
import { handleAppState } from './app-state'
import { handleCall } from './call'
import { handleChannels } from './channel-queries'
import { handleEncrypt } from './encrypt'
import { handleGroups } from './groups'
import { handleMessage } from './message'
import { handleMex } from './mex'
import { handleBusiness, handleEmpty, handleMedia, handleProps } from './misc'
import { handleChatState, handlePresence } from './presence'
import { handleAbout, handleDisappearing, handlePicture } from './profile'
import { handleAck, handlePhoneNotification, handleReceipt } from './receipt'
import { handleUsync } from './usync'

/** Answers a query, or returns null when there is nothing to say (the line is closed instead). */
export type QueryStep = (world: World, origin: Origin, request: BinaryNode) => BinaryNode | null

type StanzaStep = (world: World, origin: Origin, stanza: BinaryNode) => void

const STANZAS: Record<string, StanzaStep> = {
  iq: handleQuery,
  message: handleMessage,
  receipt: handleReceipt,
  ack: handleAck,
  presence: handlePresence,
  chatstate: handleChatState,
  call: handleCall,
  notification: handlePhoneNotification,
  // `offline_batch`, `unified_session`: the client's bookkeeping, which asks for nothing.
  ib: () => {},
}

const QUERIES: Record<string, QueryStep> = {
  'w:p': handleEmpty,
  encrypt: handleEncrypt,
  usync: handleUsync,
  passive: handlePassive,
  md: handleAccount,
  'w:g2': handleGroups,
  privacy: handlePrivacy,
  blocklist: handleBlocklist,
  abt: handleProps,
  status: handleAbout,
  disappearing_mode: handleDisappearing,
  'w:profile:picture': handlePicture,
  'w:m': handleMedia,
  'w:sync:app:state': handleAppState,
  'w:mex': handleMex,
  'w:biz': handleBusiness,
  'w:stats': handleEmpty,
  tos: handleEmpty,
  'urn:xmpp:whatsapp:dirty': handleEmpty,
  'urn:xmpp:whatsapp:push': handleEmpty,
  bot: handleEmpty,
  newsletter: handleChannels,
}

/** Look-ups that WhatsApp limits in rate. */
const LIMITED = new Set(['usync', 'w:g2', 'w:profile:picture'])

/** Takes a stanza from a linked device. A stanza that nothing can be answered to ends its line. */
export function receiveStanza(world: World, origin: Origin, stanza: BinaryNode): void {
  const step = entryOf(STANZAS, stanza.tag)
  try {
    if (step === undefined) throw new Violation(`Unknown stanza "${stanza.tag}"`)
    step(world, origin, stanza)
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    origin.end(node('stream:error', { code: '400' }, [node('xml-not-well-formed')]))
  }
}

function handleQuery(world: World, origin: Origin, request: BinaryNode): void {
  const { id, type, xmlns } = request.attrs
  if (type === 'result' || type === 'error') return
  if (!id) throw new Violation('A query without id')
  try {
    const step = entryOf(QUERIES, xmlns ?? '')
    if (step === undefined) throw new Refusal(501, 'feature-not-implemented')
    const target = { phoneNumber: origin.device.account.phoneNumber }
    if (LIMITED.has(xmlns ?? '') && origin.device.id !== 0 && world.faults.hit('rate_limit', target)) {
      throw new Refusal(429, 'rate-overlimit')
    }
    const answer = step(world, origin, request)
    if (answer !== null) origin.reply(answer)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    origin.reply(refuse(request, error))
  }
}

const refuse = (request: BinaryNode, { code, text }: Refusal): BinaryNode =>
  node('iq', { from: request.attrs.to ?? SERVER, type: 'error', id: request.attrs.id }, [
    node('error', { code: String(code), text }),
  ])
