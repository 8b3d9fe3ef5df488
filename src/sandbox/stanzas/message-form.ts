/** A message as the server reads it: addressees and envelopes, never what is inside. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { parseJid } from '../jid'
import { type Attrs, child, children, node } from '../node'
import { demand } from '../refusal'
import type { Device } from '../types'
import type { World } from '../world'

/** A message that passed the checks of form. */
export type Outgoing = {
  world: World
  sender: Device
  stanza: BinaryNode
  /** Attributes that every delivered copy bears. */
  shared: Attrs
  /** Children that are passed on as they are. */
  extras: BinaryNode[]
  /** The sender's signed identity, for copies that open a session. */
  identity: BinaryNode | undefined
}

/** Who gets what; `phash` names the true device list when the sender's was incomplete, `told` is more for the ack. */
export type Plan = { copies: [Device, BinaryNode][]; phash?: string | undefined; told?: Attrs }

/** WhatsApp's code for a stanza it cannot make sense of, a stale device list among the reasons. */
export const MALFORMED = 479

/** `edit` of a message with which a group's admin takes back somebody else's. */
export const ADMIN_REVOKE = '8'

/**
 * What a message does to an earlier one, said in the clear because the server cannot read it: an edit, a pin, a deletion
 * by the author, a deletion by an admin. Only groups have admins.
 */
export const EDITS: ReadonlySet<string> = new Set(['1', '2', '7', ADMIN_REVOKE])

/** The `<to>` children of `<participants>`. */
export const addressed = (stanza: BinaryNode): BinaryNode[] => children(child(stanza, 'participants'), 'to')

/** A delivered message. `encs` in the order given: a sender key before what it opens. */
export function copyFor(message: Outgoing, attrs: Attrs, encs: BinaryNode[]): BinaryNode {
  const content = encs.map(bare)
  if (message.identity !== undefined && encs.some((enc) => enc.attrs.type === 'pkmsg')) {
    content.push(message.identity)
  }
  return node('message', { ...attrs, ...message.shared }, [...content, ...message.extras])
}

/**
 * A phone's mark of a file that can be opened once: only phones get it, companions are told that something has come.
 * Which stanza says so on its way to the server is not known; to companions it is this one.
 */
const WITHHELD = 'unavailable'
export const isForPhones = ({ stanza, sender }: Outgoing): boolean =>
  sender.id === 0 && child(stanza, WITHHELD)?.attrs.type === 'view_once'

/** What a device gets of a message: its keys always, the message itself unless it is for phones. */
export const partsFor = (
  message: Outgoing,
  device: Device,
  keys: BinaryNode[],
  encs: BinaryNode[],
): BinaryNode[] =>
  isForPhones(message) && device.id !== 0
    ? [...keys, node(WITHHELD, { type: 'view_once' })]
    : [...keys, ...encs]

/** What the sender computed over its device list is not for the recipient. */
function bare(enc: BinaryNode): BinaryNode {
  if (enc.attrs.phash === undefined) return enc
  const { phash: _, ...attrs } = enc.attrs
  return { ...enc, attrs }
}

/** The devices a message names in `<participants>`, each with what is encrypted for it. */
export function readParticipants(message: Outgoing, types: readonly string[]): Map<Device, BinaryNode[]> {
  const devices = new Map<Device, BinaryNode[]>()
  for (const item of addressed(message.stanza)) {
    const device = message.world.directory.device(parseJid(item.attrs.jid))
    demand(device !== undefined, MALFORMED, 'a device that is not linked')
    demand(!devices.has(device), MALFORMED, 'a device named twice')
    const encs = children(item, 'enc')
    demand(encs.length > 0, MALFORMED, 'nothing for this device')
    demand(
      encs.every((enc) => types.includes(enc.attrs.type ?? '')),
      MALFORMED,
      'wrong encryption',
    )
    // Baileys names its own device among the members of a group addressed by LID; it gets no copy.
    if (device !== message.sender) devices.set(device, encs)
  }
  return devices
}
