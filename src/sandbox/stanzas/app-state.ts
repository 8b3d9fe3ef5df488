/**
 * App state (wire notes §8.2): encrypted patches per collection, numbered here. The number is part of what the devices
 * authenticate, so it has to be written into each patch that is handed out.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { notify } from '../delivery'
import { bytesOf, child, children, node, result } from '../node'
import type { Collection } from '../profiles'
import { demand } from '../refusal'
import type { Device } from '../types'
import type { Origin, World } from '../world'

const NAMES = new Set(['critical_block', 'critical_unblock_low', 'regular_high', 'regular_low', 'regular'])

/** `xmlns=w:sync:app:state`: pulls and pushes, several collections at once. */
export function handleAppState(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const sync = child(request, 'sync')
  const asked = children(sync, 'collection')
  demand(request.attrs.type === 'set' && asked.length > 0, 400, 'bad-request')
  const answers = asked.map((item) => syncCollection(world, device, item))
  return result(request, [node('sync', {}, answers)])
}

function syncCollection(world: World, device: Device, item: BinaryNode): BinaryNode {
  const { name = '' } = item.attrs
  const version = Number(item.attrs.version ?? '0')
  demand(NAMES.has(name) && Number.isInteger(version) && version >= 0, 400, 'bad-request')
  const { collections } = world.profiles.of(device.account)
  const collection: Collection = collections.get(name) ?? { patches: [] }
  collections.set(name, collection)

  const patch = bytesOf(child(item, 'patch'))
  if (patch === undefined) return pulled(name, collection, version)
  if (version !== collection.patches.length) {
    const missing = patchNodes(collection, version)
    return node('collection', { name, type: 'error', version: String(collection.patches.length) }, [
      node('error', { code: '409', text: 'conflict' }),
      node('patches', {}, missing),
    ])
  }
  collection.patches.push(numbered(patch, version + 1))
  const now = String(collection.patches.length)
  for (const other of device.account.devices.values()) {
    if (other !== device) notify(world, other, 'server_sync', [node('collection', { name, version: now })])
  }
  return node('collection', { name, version: now })
}

function pulled(name: string, collection: Collection, version: number): BinaryNode {
  const attrs = { name, version: String(collection.patches.length) }
  return node('collection', attrs, [node('patches', {}, patchNodes(collection, version))])
}

const patchNodes = (collection: Collection, after: number): BinaryNode[] =>
  collection.patches.slice(after).map((patch) => node('patch', {}, patch))

function numbered(bytes: Buffer, version: number): Buffer {
  let patch: proto.SyncdPatch
  try {
    patch = proto.SyncdPatch.decode(bytes)
  } catch {
    demand(false, 400, 'bad-request')
  }
  patch.version = proto.SyncdVersion.create({ version })
  return Buffer.from(proto.SyncdPatch.encode(patch).finish())
}
