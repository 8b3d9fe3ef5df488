/** Messages between two people, to own devices, and single re-sends. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deviceHash } from '../devices'
import { addressOf, lidOf, pnOf } from '../directory'
import { type Jid, parseJid } from '../jid'
import { admitToChat, openChat } from '../limits'
import { type Attrs, children } from '../node'
import { demand } from '../refusal'
import type { Account, Device } from '../types'
import {
  copyFor,
  isForPhones,
  MALFORMED,
  type Outgoing,
  type Plan,
  partsFor,
  readParticipants,
} from './message-form'

const ENCRYPTIONS = ['msg', 'pkmsg']

/** Who gets a 1:1 message. */
export function planDirect(message: Outgoing): Plan {
  const { world, stanza, sender } = message
  const to = parseJid(stanza.attrs.to)
  const account = world.directory.find(to)
  demand(account !== undefined && to !== undefined, 404, 'not on WhatsApp')
  const single = children(stanza, 'enc')
  if (stanza.attrs.category === 'peer') return planPeer(message, to, single)
  if (single.length > 0) return planResend(message, to, single)
  return planFanOut(message, account, sender)
}

function planFanOut(message: Outgoing, account: Account, sender: Device): Plan {
  const devices = readParticipants(message, ENCRYPTIONS)
  const blocked = message.world.profiles.of(account).blocked.has(sender.account)
  const copies: [Device, BinaryNode][] = []
  for (const [device, encs] of devices) {
    const own = device.account === sender.account
    demand(own || device.account === account, MALFORMED, 'a device of somebody else')
    if (own) copies.push([device, copyFor(message, ownCopy(sender, account), encs)])
    else if (!blocked) copies.push([device, copyFor(message, fromSender(sender, device.account), encs)])
  }
  const reached =
    account === sender.account || copies.some(([device]) => device.account === account) || blocked
  demand(reached, MALFORMED, 'no device of the recipient')
  admitToChat(message.world, sender, account)
  openChat(message.world, sender, account)

  const everybody = new Set([account, sender.account])
  if (isForPhones(message)) {
    for (const each of everybody) {
      const attrs = (own: boolean) => (own ? ownCopy(sender, account) : fromSender(sender, account))
      if (each === account && blocked) continue
      for (const device of each.devices.values()) {
        if (device.id === 0 || device === sender) continue
        copies.push([
          device,
          copyFor(message, attrs(each === sender.account), partsFor(message, device, [], [])),
        ])
      }
    }
    return { copies }
  }
  const expected = [...everybody].reduce((sum, each) => sum + each.devices.size, 0) - 1
  if (devices.size === expected) return { copies }
  return { copies, phash: deviceHash(everybody, message.sender.account.addressing, sender) }
}

/** A re-send to the one device that asked: a bare `<enc>`, never for anybody else. */
function planResend(message: Outgoing, to: Jid, encs: BinaryNode[]): Plan {
  const { world, sender, stanza } = message
  const device = world.directory.device(to)
  demand(device !== undefined && device !== sender, MALFORMED, 'a device that is not linked')
  demand(encs.length === 1 && ENCRYPTIONS.includes(encs[0]?.attrs.type ?? ''), MALFORMED, 'wrong encryption')
  if (device.account !== sender.account) {
    admitToChat(world, sender, device.account)
    return { copies: [[device, copyFor(message, fromSender(sender, device.account), encs)]] }
  }
  const chat = world.directory.find(parseJid(stanza.attrs.recipient))
  demand(chat !== undefined, MALFORMED, 'an own device without the chat')
  return { copies: [[device, copyFor(message, ownCopy(sender, chat), encs)]] }
}

/** Between the devices of one account: history, keys, requests. Without a device part it is for the phone. */
function planPeer(message: Outgoing, to: Jid, encs: BinaryNode[]): Plan {
  const { world, sender } = message
  const device = world.directory.device(to)
  demand(device !== undefined && device !== sender, MALFORMED, 'a device that is not linked')
  demand(device.account === sender.account, MALFORMED, 'a peer message to somebody else')
  demand(encs.length === 1 && ENCRYPTIONS.includes(encs[0]?.attrs.type ?? ''), MALFORMED, 'wrong encryption')
  const from = addressOf(sender.account, to.server === 'lid' ? 'lid' : 'pn', sender.id)
  return { copies: [[device, copyFor(message, { from }, encs)]] }
}

/** The sender as the recipient's account sees others: a device address, and the bare other one. */
function fromSender(sender: Device, recipient: Account): Attrs {
  const from = addressOf(sender.account, recipient.addressing, sender.id)
  if (recipient.addressing === 'pn') return { from, sender_lid: lidOf(sender.account) }
  return { from, addressing_mode: 'lid', sender_pn: pnOf(sender.account) }
}

/** An own device's copy names the chat, and the chat's other address; never the sender's (wire notes §6.3). */
function ownCopy(sender: Device, chat: Account): Attrs {
  const mode = sender.account.addressing
  const shared = { from: addressOf(sender.account, mode, sender.id), recipient: addressOf(chat, mode) }
  if (mode === 'pn') return { ...shared, peer_recipient_lid: lidOf(chat) }
  return { ...shared, addressing_mode: 'lid', peer_recipient_pn: pnOf(chat) }
}
