/** Presence and typing: worth telling to those who are there, kept for nobody. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { tell } from '../delivery'
import { addressOf } from '../directory'
import { groupJid, memberJid } from '../groups'
import { isGroup, parseJid } from '../jid'
import { child, node } from '../node'
import { Violation } from '../refusal'
import type { Origin, World } from '../world'

/** `<presence>`: available, unavailable, subscribe; a name in it is the account's push name from now on. */
export function handlePresence(world: World, { device }: Origin, stanza: BinaryNode): void {
  const { type, name, to } = stanza.attrs
  if (name) device.account.name = name
  if (type === 'subscribe') {
    const account = world.directory.find(parseJid(to))
    if (account !== undefined) world.presence.subscribe(device, account)
    return
  }
  if (type === 'available' || type === 'unavailable') world.presence.set(device, type === 'available')
}

const STATES = new Set(['composing', 'paused'])

/** `<chatstate>`: goes to the devices of the other side that are there now. */
export function handleChatState(world: World, { device }: Origin, stanza: BinaryNode): void {
  const { to = '' } = stanza.attrs
  const state = child(stanza)
  if (state === undefined || !STATES.has(state.tag)) throw new Violation('No such chat state')
  if (isGroup(to)) {
    const group = world.groups.get(to)
    if (!group?.members.has(device.account)) return
    const attrs = { from: groupJid(group), participant: memberJid(group, device.account) }
    for (const member of group.members.keys()) {
      if (member === device.account) continue
      for (const listener of member.devices.values()) tell(listener, node('chatstate', attrs, [state]))
    }
    return
  }
  const account = world.directory.find(parseJid(to))
  if (account === undefined || account === device.account) return
  const from = addressOf(device.account, account.addressing)
  for (const listener of account.devices.values()) tell(listener, node('chatstate', { from }, [state]))
}
