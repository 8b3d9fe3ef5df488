/** Messages to groups and to the status list: one shared ciphertext, and its key for those who lack it (§6.5). */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deviceHash } from '../devices'
import { lidOf, pnOf } from '../directory'
import { type Group, groupJid, isAdmin, memberJid, otherJid } from '../groups'
import { parseJid } from '../jid'
import { type Attrs, children } from '../node'
import { demand } from '../refusal'
import type { Device } from '../types'
import {
  ADMIN_REVOKE,
  copyFor,
  MALFORMED,
  type Outgoing,
  type Plan,
  partsFor,
  readParticipants,
} from './message-form'

const KEY_ENCRYPTIONS = ['msg', 'pkmsg']

/** Who gets a group message: every device of every member but the sender's own. */
export function planGroup(message: Outgoing): Plan {
  const { world, sender, stanza } = message
  const { to = '', participant, addressing_mode: mode, phash } = stanza.attrs
  const group = world.groups.get(to)
  demand(group !== undefined, 404, 'item-not-found')
  demand(group.members.has(sender.account), 403, 'not a member')
  demand(!group.announcement || isAdmin(group, sender.account), 403, 'only admins may send')
  const takesBack = stanza.attrs.edit === ADMIN_REVOKE
  demand(!takesBack || isAdmin(group, sender.account), 403, 'only admins take back what others said')
  const attrs = groupAttrs(group, sender)
  if (participant !== undefined) return planGroupResend(message, group, attrs)

  demand(mode === undefined || mode === group.addressing, MALFORMED, 'the other kind of address')
  const shared = sharedEnc(message)
  const keys = readParticipants(message, KEY_ENCRYPTIONS)
  for (const device of keys.keys()) {
    demand(group.members.has(device.account), MALFORMED, 'a device of somebody who is no member')
  }
  const copies: [Device, BinaryNode][] = []
  for (const member of group.members.keys()) {
    for (const device of member.devices.values()) {
      if (device === sender) continue
      copies.push([
        device,
        copyFor(message, attrs, partsFor(message, device, keys.get(device) ?? [], shared)),
      ])
    }
  }
  const truth = phash === undefined ? undefined : deviceHash(group.members.keys(), group.addressing)
  return { copies, phash: truth === phash ? undefined : truth }
}

function planGroupResend(message: Outgoing, group: Group, attrs: Attrs): Plan {
  const { world, sender, stanza } = message
  const device = world.directory.device(parseJid(stanza.attrs.participant))
  const encs = children(stanza, 'enc')
  demand(device !== undefined && device !== sender, MALFORMED, 'a device that is not linked')
  demand(group.members.has(device.account), MALFORMED, 'a device of somebody who is no member')
  demand(
    encs.every((enc) => KEY_ENCRYPTIONS.includes(enc.attrs.type ?? '')),
    MALFORMED,
    'wrong encryption',
  )
  return { copies: [[device, copyFor(message, attrs, encs)]] }
}

/**
 * Who gets a status: exactly the devices that the sender encrypted its key for, since nobody else knows the audience;
 * except for those who have blocked the sender, who never hear of him.
 */
export function planStatus(message: Outgoing): Plan {
  const { sender, stanza } = message
  const attrs = { from: 'status@broadcast', participant: lidOf(sender.account, sender.id) }
  const other = { addressing_mode: 'lid', participant_pn: pnOf(sender.account) }
  const shared = stanza.attrs.participant === undefined ? sharedEnc(message) : []
  if (shared.length === 0) {
    const device = message.world.directory.device(parseJid(stanza.attrs.participant))
    demand(device !== undefined && device !== sender, MALFORMED, 'a device that is not linked')
    return { copies: [[device, copyFor(message, { ...attrs, ...other }, children(stanza, 'enc'))]] }
  }
  const copies: [Device, BinaryNode][] = []
  for (const [device, encs] of readParticipants(message, KEY_ENCRYPTIONS)) {
    if (message.world.profiles.of(device.account).blocked.has(sender.account)) continue
    const content = partsFor(message, device, encs, shared)
    copies.push([device, copyFor(message, { ...attrs, ...other }, content)])
  }
  return { copies }
}

/** The one ciphertext for all. */
function sharedEnc(message: Outgoing): BinaryNode[] {
  const encs = children(message.stanza, 'enc')
  demand(encs.length === 1 && encs[0]?.attrs.type === 'skmsg', MALFORMED, 'wrong encryption')
  return encs
}

/** The sender in the group's own kind of address, which also names its sender key. */
const groupAttrs = (group: Group, sender: Device): Attrs => ({
  from: groupJid(group),
  participant: memberJid(group, sender.account, sender.id),
  ...otherJid(group, sender.account, 'participant'),
  addressing_mode: group.addressing,
})
