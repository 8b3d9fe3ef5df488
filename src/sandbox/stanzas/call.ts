/** Calls, as far as signalling goes: offers ring on every device, answers go back to the caller. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deliver } from '../delivery'
import { addressOf, pnOf } from '../directory'
import { parseJid } from '../jid'
import { child, node } from '../node'
import { Violation } from '../refusal'
import type { Origin, World } from '../world'

/** `<call>`; the sender waits for the ack. */
export function handleCall(world: World, origin: Origin, call: BinaryNode): void {
  const { id, to } = call.attrs
  const action = child(call)
  if (!id || action === undefined) throw new Violation('A call without id or action')
  const { device } = origin
  const ack = { class: 'call', id, from: to, type: action.tag }
  if (action.tag === 'link_create') {
    const token = world.random(16).toString('base64url')
    origin.reply(node('ack', ack, [node('link_create', { token })]))
    return
  }
  const account = world.directory.find(parseJid(to))
  if (account === undefined) {
    origin.reply(node('ack', { ...ack, error: '404' }))
    return
  }
  origin.reply(node('ack', ack))
  const from = addressOf(device.account, account.addressing, device.id)
  const shown = action.tag === 'offer' ? { ...action.attrs, caller_pn: pnOf(device.account) } : action.attrs
  const attrs = { from, id, t: world.seconds(), notify: device.account.name }
  const stanza = node('call', attrs, [node(action.tag, shown, action.content)])
  for (const listener of account.devices.values()) if (listener !== device) deliver(world, listener, stanza)
}
