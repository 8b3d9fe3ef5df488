/** An account's own affairs: leaving, linking, privacy, block list. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deliver, notify } from '../delivery'
import { removeCompanion } from '../devices'
import { addressOf, lidOf } from '../directory'
import { parseJid } from '../jid'
import { bytesOf, child, children, node, result } from '../node'
import { relayPrimaryHello } from '../pairing-code'
import { demand, Refusal } from '../refusal'
import type { Account, Device } from '../types'
import type { Origin, World } from '../world'
import { subject } from './subject'

/** `xmlns=passive`: `active` says that the device is ready for its backlog. */
export function handlePassive(_world: World, origin: Origin, request: BinaryNode): null {
  origin.reply(result(request))
  if (subject(request).tag === 'active') origin.activate()
  return null
}

/** `xmlns=md`: companions leave; phones answer pairing codes and publish their list of valid companions. */
export function handleAccount(world: World, origin: Origin, request: BinaryNode): BinaryNode | null {
  const item = subject(request)
  const { device } = origin
  if (item.tag === 'link_code_companion_reg') return relayPrimaryHello(world, device, request)
  if (item.tag === 'key-index-list') {
    const signed = bytesOf(item)
    demand(device.id === 0 && signed !== undefined, 403, 'forbidden')
    device.account.keyIndexList = { signed, at: Number(item.attrs.ts ?? world.seconds()) }
    return result(request)
  }
  demand(item.tag === 'remove-companion-device', 400, 'bad-request')
  const named = world.directory.device(parseJid(item.attrs.jid))
  demand(named !== undefined, 404, 'item-not-found')
  demand(named === device || (device.id === 0 && named.account === device.account), 403, 'forbidden')
  if (named !== device) {
    removeCompanion(world, named)
    return result(request)
  }
  // A companion that leaves does not wait for an answer and needs no farewell.
  origin.reply(result(request))
  removeCompanion(world, device, null)
  origin.end()
  return null
}

/** `xmlns=privacy`: categories, and tokens that let a contact write first. */
export function handlePrivacy(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const item = subject(request)
  const { privacy } = world.profiles.of(device.account)
  if (item.tag === 'tokens') return shareTokens(world, device, request, item)
  demand(item.tag === 'privacy', 400, 'bad-request')
  if (request.attrs.type === 'set') {
    for (const { attrs } of children(item, 'category')) {
      demand(attrs.name !== undefined && privacy.has(attrs.name) && attrs.value, 400, 'bad-request')
      privacy.set(attrs.name, attrs.value)
    }
  }
  const categories = [...privacy].map(([name, value]) => node('category', { name, value }))
  return result(request, [node('privacy', {}, categories)])
}

function shareTokens(world: World, device: Device, request: BinaryNode, item: BinaryNode): BinaryNode {
  for (const { attrs } of children(item, 'token')) {
    const account = world.directory.find(parseJid(attrs.jid))
    demand(account !== undefined, 404, 'item-not-found')
    if (account === device.account) continue
    const shown = { type: attrs.type ?? 'trusted_contact', t: attrs.t ?? world.seconds() }
    const token = tokenFor(world, device.account, account, shown.t)
    if (token === null) continue
    const content = [node('tokens', {}, [node('token', shown, token)])]
    const from = addressOf(device.account, account.addressing)
    const more = { sender_lid: lidOf(device.account) }
    for (const listener of account.devices.values()) {
      if (listener.id !== 0) notify(world, listener, 'privacy_token', content, from, more)
    }
  }
  return result(request)
}

/** A week; clients renew their tokens when a new one begins, and ask far more often. */
const TOKEN_SECONDS = 7 * 24 * 60 * 60

/** A token nobody was given this week, or null when the contact has it already. */
function tokenFor(world: World, giver: Account, taker: Account, t: string): Buffer | null {
  const given = world.profiles.of(giver).tokens
  const week = Math.floor(Number(t) / TOKEN_SECONDS)
  if (given.get(taker) === week) return null
  given.set(taker, week)
  return world.random(16)
}

/** `xmlns=blocklist`. */
export function handleBlocklist(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const { blocked } = world.profiles.of(device.account)
  const item = child(request, 'item')
  if (request.attrs.type === 'set') {
    const account = world.directory.find(parseJid(item?.attrs.jid))
    const action = item?.attrs.action
    if (action !== 'block' && action !== 'unblock') throw new Refusal(400, 'bad-request')
    // WhatsApp blocks by LID, and wants to know the number that goes with it.
    demand(account !== undefined && parseJid(item?.attrs.jid)?.server === 'lid', 400, 'bad-request')
    if (action === 'block') {
      demand(world.directory.find(parseJid(item?.attrs.pn_jid)) === account, 400, 'bad-request')
      blocked.add(account)
    } else blocked.delete(account)
    const change = node('item', { action, jid: lidOf(account) })
    tellOthers(world, device, [node('blocklist', {}, [change])])
  }
  const items = [...blocked].map((account) => node('item', { jid: lidOf(account) }))
  return result(request, [node('list', {}, items)])
}

/** The account's other devices hear of a change as a notification of their own account. */
export function tellOthers(world: World, device: Device, content: BinaryNode[], type = 'account_sync'): void {
  const from = addressOf(device.account, 'pn')
  const attrs = { from, type, id: world.nextId(), t: world.seconds() }
  for (const other of device.account.devices.values()) {
    if (other !== device) deliver(world, other, node('notification', attrs, content))
  }
}
