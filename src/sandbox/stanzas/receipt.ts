/**
 * Receipts and acknowledgements (wire notes §6.4, §6.6). Both say that a device has a stanza, which is then forgotten
 * here; receipts also travel to the author.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { confirm, deliver } from '../delivery'
import { addressOf } from '../directory'
import { groupJid, memberJid } from '../groups'
import { isChannel, isGroup, parseJid } from '../jid'
import { KEY_LENGTH, readSignedPreKey } from '../keys'
import { type Attrs, child, childBytes, children, node } from '../node'
import { demand, Refusal, Violation } from '../refusal'
import type { Account, Device } from '../types'
import type { Origin, World } from '../world'
import { viewPosts } from './channel-queries'

/** `sender`, `retry` and the peer types are for one device; the others are for all of the author's. */
const KNOWN = new Set([
  'inactive',
  'read',
  'read-self',
  'played',
  'played-self',
  'sender',
  'retry',
  'enc_rekey_retry',
  'peer_msg',
  'hist_sync',
  'server-error',
  'view',
])
const FOR_ONE_DEVICE = new Set([
  'sender',
  'retry',
  'enc_rekey_retry',
  'peer_msg',
  'hist_sync',
  'server-error',
])
const SELF = /-self$/
const MOST_ITEMS = 5000

/** `<receipt>`. */
export function handleReceipt(world: World, origin: Origin, receipt: BinaryNode): void {
  const { id, type } = receipt.attrs
  if (!id) throw new Violation('A receipt without id')
  const { device } = origin
  const items = children(child(receipt, 'list'), 'item').map((item) => item.attrs.id ?? '')
  const confirmed = [id, ...items].map((each) => confirm(device, { tag: 'message', id: each }))
  try {
    demand(type === undefined || KNOWN.has(type), 400, 'bad-request')
    demand(items.length <= MOST_ITEMS, 406, 'not-acceptable')
    // Clients leave `to` out when they confirm a copy of an own message; it then came from the sending device.
    const to = receipt.attrs.to ?? confirmed.find((stanza) => stanza !== undefined)?.attrs.from
    demand(to !== undefined, 400, 'bad-request')
    if (type === 'retry') checkRetry(device, receipt)
    relay(world, device, receipt, to)
    origin.reply(node('ack', { class: 'receipt', id, from: to, type }))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    origin.reply(
      node('ack', { class: 'receipt', id, from: receipt.attrs.to, type, error: String(error.code) }),
    )
  }
}

/** Keys in a retry are keys like any others: they have to be the device's own, and signed. */
function checkRetry(device: Device, receipt: BinaryNode): void {
  demand(child(receipt, 'retry')?.attrs.count !== undefined, 400, 'bad-request')
  demand(childBytes(receipt, 'registration')?.length === 4, 400, 'bad-request')
  const keys = child(receipt, 'keys')
  if (keys === undefined) return
  const identity = childBytes(keys, 'identity')
  demand(identity?.length === KEY_LENGTH && identity.equals(device.identityKey), 409, 'conflict')
  readSignedPreKey(child(keys, 'skey'), identity)
}

function relay(world: World, reader: Device, receipt: BinaryNode, to: string): void {
  const { type } = receipt.attrs
  if (isChannel(to)) {
    if (type === 'view') viewPosts(world, reader, receipt)
    return
  }
  if (isGroup(to) || to === 'status@broadcast') {
    relayInGroup(world, reader, receipt, to)
    return
  }
  const author = world.directory.find(parseJid(to))
  demand(author !== undefined, 404, 'item-not-found')
  if (FOR_ONE_DEVICE.has(type ?? '')) {
    const device = world.directory.device(parseJid(to))
    if (device !== undefined && device !== reader) {
      const from = addressOf(reader.account, author.addressing, reader.id)
      deliver(world, device, passedOn(world, receipt, { from, recipient: receipt.attrs.recipient }))
    }
    return
  }
  if (author !== reader.account && !SELF.test(type ?? '')) {
    const from = addressOf(reader.account, author.addressing, reader.id)
    for (const device of author.devices.values()) deliver(world, device, passedOn(world, receipt, { from }))
  }
  if (type === 'read' || type === 'played' || SELF.test(type ?? '')) {
    tellOwnDevices(world, reader, receipt, author)
  }
}

/** What was read on one device is read on all. */
function tellOwnDevices(world: World, reader: Device, receipt: BinaryNode, author: Account): void {
  const { account } = reader
  const from = addressOf(account, account.addressing, reader.id)
  const recipient = addressOf(author, account.addressing)
  for (const device of account.devices.values()) {
    if (device !== reader) deliver(world, device, passedOn(world, receipt, { from, recipient }))
  }
}

function relayInGroup(world: World, reader: Device, receipt: BinaryNode, to: string): void {
  const { participant, type } = receipt.attrs
  const author = world.directory.find(parseJid(participant))
  demand(author !== undefined && participant !== undefined, 404, 'item-not-found')
  const group = world.groups.get(to)
  if (isGroup(to)) demand(group !== undefined, 404, 'item-not-found')
  const attrs =
    group === undefined
      ? { from: to, participant: addressOf(reader.account, 'lid', reader.id) }
      : { from: groupJid(group), participant: memberJid(group, reader.account, reader.id) }
  if (FOR_ONE_DEVICE.has(type ?? '')) {
    const device = world.directory.device(parseJid(participant))
    if (device !== undefined && device !== reader) deliver(world, device, passedOn(world, receipt, attrs))
    return
  }
  if (SELF.test(type ?? '')) return
  for (const device of author.devices.values()) {
    if (device !== reader) deliver(world, device, passedOn(world, receipt, attrs))
  }
}

/** The receipt as its author gets it. A delivery to a client in the background is a delivery. */
function passedOn(world: World, receipt: BinaryNode, attrs: Attrs): BinaryNode {
  const { id, type } = receipt.attrs
  const shown = type === 'inactive' ? undefined : type
  return node('receipt', { ...attrs, id, type: shown, t: world.seconds() }, receipt.content)
}

/** `<ack>`: a device has a stanza of ours, or could not use it; either way it need not come again. */
export function handleAck(_world: World, { device }: Origin, ack: BinaryNode): void {
  const { id, class: tag, to, participant } = ack.attrs
  if (!id || !tag) throw new Violation('An ack without id or class')
  // Acks of messages name our sender's device in ways that differ between clients; the id is enough.
  if (tag === 'message') confirm(device, { tag, id })
  else confirm(device, { tag, id, from: to, participant })
}

/** Only a phone notifies: it answers a companion's request to upload a media file anew. */
export function handlePhoneNotification(world: World, { device }: Origin, stanza: BinaryNode): void {
  const { to, type, id } = stanza.attrs
  if (device.id !== 0 || type !== 'mediaretry' || !id) throw new Violation('Not for this device to say')
  const target = world.directory.device(parseJid(to))
  if (target === undefined || target.account !== device.account) return
  const from = addressOf(device.account, parseJid(to)?.server === 'lid' ? 'lid' : 'pn')
  deliver(world, target, node('notification', { from, type, id, t: world.seconds() }, stanza.content))
}
