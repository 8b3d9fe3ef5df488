/** Bringing stanzas to devices: kept until confirmed, in order, and delivered again to a device that was away. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { node, SERVER } from './node'
import type { Account, Device } from './types'
import type { World } from './world'

/** Delivers a stanza that must not be lost: message, receipt, notification or call. */
export function deliver(world: World, device: Device, stanza: BinaryNode): void {
  // A phone's line is in this process and cannot lose anything, so only its absence fills its queue.
  if (device.id !== 0 || device.link === null) device.pending.push(stanza)
  if (device.link === null) return
  device.link.send(stanza)
  if (stanza.tag !== 'message') return
  if (world.faults.hit('duplicate', { phoneNumber: device.account.phoneNumber })) device.link.send(stanza)
}

/** Delivers a stanza that only matters now: presence, typing. */
export function tell(device: Device, stanza: BinaryNode): void {
  device.link?.send(stanza)
}

/** Delivers to every device of an account but one. */
export function deliverToAll(world: World, account: Account, stanza: BinaryNode, except?: Device): void {
  for (const device of account.devices.values()) if (device !== except) deliver(world, device, stanza)
}

/** Delivers a notification of the server itself, with a fresh id. */
export function notify(
  world: World,
  device: Device,
  type: string,
  content: BinaryNode[],
  from: string = SERVER,
  more: Record<string, string | undefined> = {},
): void {
  const attrs = { from, type, id: world.nextId(), t: world.seconds(), ...more }
  deliver(world, device, node('notification', attrs, content))
}

/** Forgets a stanza that the device has confirmed. `from` and `participant` distinguish receipts with one id. */
export function confirm(
  device: Device,
  what: { tag: string; id: string; from?: string | undefined; participant?: string | undefined },
): BinaryNode | undefined {
  const at = device.pending.findIndex(
    ({ tag, attrs }) =>
      attrs.id === what.id &&
      tag === what.tag &&
      (what.from === undefined || attrs.from === what.from) &&
      (what.participant === undefined || attrs.participant === what.participant),
  )
  if (at === -1) return undefined
  const [confirmed] = device.pending.splice(at, 1)
  return confirmed
}

const COUNTED = ['message', 'receipt', 'notification', 'call'] as const

/**
 * Everything a device missed, between the two marks that clients wait for (wire notes §5): a preview with counts, each
 * stanza with its place in `offline`, and the end mark, which comes even when there was nothing.
 */
export function sendBacklog(device: Device, send: (stanza: BinaryNode) => void): void {
  const backlog = [...device.pending]
  const counts: Record<string, string> = { count: String(backlog.length) }
  for (const tag of COUNTED) counts[tag] = String(backlog.filter((stanza) => stanza.tag === tag).length)
  send(node('ib', { from: SERVER }, [node('offline_preview', counts)]))
  backlog.forEach((stanza, at) => {
    send({ ...stanza, attrs: { ...stanza.attrs, offline: String(at + 1) } })
  })
  send(node('ib', { from: SERVER }, [node('offline', { count: String(backlog.length) })]))
}
