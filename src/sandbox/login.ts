/** A linked companion comes back (wire notes §5): who it is, and what it hears first. */
import type { BinaryNode, proto } from '@whiskeysockets/baileys'
import { lidOf } from './directory'
import { node, SERVER } from './node'
import { demand } from './refusal'
import type { Device } from './types'
import type { World } from './world'

/** A second connection of one device; the first one hears this. */
export const REPLACED: BinaryNode = node('stream:error', {}, [node('conflict', { type: 'replaced' })])

/**
 * The device a login names, if the Noise key is the one it was linked with. Refuses with 401 otherwise: an unknown
 * number, a device that was removed, a half-linked client without a device number, a stranger's key.
 */
export function identify(world: World, payload: proto.IClientPayload, noiseKey: Buffer): Device {
  const account = world.directory.byPhoneNumber(String(payload.username ?? ''))
  const device = payload.device ? account?.devices.get(payload.device) : undefined
  demand(device !== undefined && device.noiseKey?.equals(noiseKey) === true, 401, 'not-authorized')
  return device
}

/** The first stanzas after a good login: who one is, and where to connect next time. */
export function welcome(world: World, device: Device): BinaryNode[] {
  const { account } = device
  const success = node('success', {
    t: world.seconds(),
    lid: lidOf(account, device.id),
    display_name: account.name,
    creation: world.seconds(),
    location: 'sbx',
    props: '1',
  })
  const routing = node('routing_info', {}, world.random(8))
  return [success, node('ib', { from: SERVER }, [node('edge_routing', {}, [routing])])]
}
