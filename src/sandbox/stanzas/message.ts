/**
 * Messages on their way (wire notes §6.2, §6.3): checked as to form and addressees, acknowledged, delivered. What is
 * inside `<enc>` is for devices alone; the server looks at type and size only.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deliver } from '../delivery'
import { isChannel, isGroup, parseJid } from '../jid'
import { type Attrs, child, children, node } from '../node'
import { demand, Refusal, Violation } from '../refusal'
import type { Device } from '../types'
import type { Origin, World } from '../world'
import { planChannel } from './channel-posts'
import { planDirect } from './message-direct'
import { ADMIN_REVOKE, addressed, EDITS, MALFORMED, type Outgoing, type Plan } from './message-form'
import { planGroup, planStatus } from './message-group'

const TYPES = new Set(['text', 'media', 'medianotify', 'reaction', 'poll', 'event', 'pay'])
const PASSED_ON = new Set(['reporting', 'meta', 'biz', 'bot'])
/** `<message>`. Every well-identified message is acknowledged, with an error when it was turned away. */
export function handleMessage(world: World, origin: Origin, stanza: BinaryNode): void {
  if (!stanza.attrs.id) throw new Violation('A message without id')
  try {
    refuseByFault(world, origin.device, stanza)
    const plan = planOf(checked(world, origin.device, stanza))
    world.stats.count('messages')
    acknowledge(world, origin, stanza, { ...plan.told, phash: plan.phash })
    for (const [device, copy] of plan.copies) deliver(world, device, copy)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    world.stats.count('messagesRefused')
    acknowledge(world, origin, stanza, { error: String(error.code) })
  }
}

function planOf(message: Outgoing): Plan {
  const { to = '' } = message.stanza.attrs
  if (to === 'status@broadcast') return planStatus(message)
  if (isChannel(to)) return planChannel(message)
  return isGroup(to) ? planGroup(message) : planDirect(message)
}

function refuseByFault(world: World, sender: Device, stanza: BinaryNode): void {
  if (sender.id === 0) return
  const contact = world.directory.find(parseJid(stanza.attrs.to))?.phoneNumber
  const target = { phoneNumber: sender.account.phoneNumber, contact }
  const fault = world.faults.hit('reject_messages', target)
  if (fault !== undefined) throw new Refusal(fault.code ?? MALFORMED, 'rejected')
  if (world.faults.hit('rate_limit', target)) throw new Refusal(429, 'rate-overlimit')
}

function checked(world: World, sender: Device, stanza: BinaryNode): Outgoing {
  const { id, to, type, edit, category } = stanza.attrs
  demand(parseJid(to) !== undefined, MALFORMED, 'no recipient')
  demand(type !== undefined && TYPES.has(type), MALFORMED, 'unknown message type')
  if (edit !== undefined && !isChannel(to ?? '')) {
    demand(EDITS.has(edit), MALFORMED, 'unknown kind of edit')
    demand(edit !== ADMIN_REVOKE || isGroup(to ?? ''), MALFORMED, 'only groups have admins')
    demand(category !== 'peer', MALFORMED, 'nothing to edit between own devices')
  }
  const encs = [...children(stanza, 'enc'), ...addressed(stanza).flatMap((item) => children(item, 'enc'))]
  for (const enc of encs) {
    demand(enc.attrs.v === '2' && enc.content instanceof Uint8Array, MALFORMED, 'not an encrypted message')
  }
  const identity = child(stanza, 'device-identity')
  const opensSession = encs.some((enc) => enc.attrs.type === 'pkmsg')
  // The recipient has no other proof that this companion belongs to the account.
  demand(!opensSession || sender.id === 0 || identity !== undefined, MALFORMED, 'no device identity')
  return {
    world,
    sender,
    stanza,
    shared: { id, type, edit, category, t: world.seconds(), notify: sender.account.name },
    extras: children(stanza).filter(({ tag }) => PASSED_ON.has(tag)),
    identity,
  }
}

function acknowledge(world: World, origin: Origin, stanza: BinaryNode, outcome: Attrs): void {
  const { id, to, participant } = stanza.attrs
  const ack = node('ack', { class: 'message', id, from: to, participant, t: world.seconds(), ...outcome })
  const slow =
    origin.device.id === 0
      ? undefined
      : world.faults.hit('slow_ack', { phoneNumber: origin.device.account.phoneNumber })
  if (slow === undefined) origin.reply(ack)
  else world.after(slow.ms ?? 1000, () => origin.reply(ack))
}
