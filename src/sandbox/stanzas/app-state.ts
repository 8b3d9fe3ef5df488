/**
 * App state (wire notes §8.2): encrypted patches per collection, numbered here. The number is part of what the devices
 * authenticate, so it has to be written into each patch that is handed out. MACs are for the devices: the server has no
 * keys, and can only see to it that nobody writes upon a state that has not been seen.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { externalBlob, snapshotOf } from '../app-state-snapshot'
import { notify } from '../delivery'
import { type Attrs, bytesOf, child, children, node, result } from '../node'
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
  if (patch === undefined) {
    return pulled(world, name, collection, version, item.attrs.return_snapshot === 'true')
  }
  if (version !== collection.patches.length) {
    const { attrs, patches } = page(collection, version)
    const current = String(collection.patches.length)
    return node('collection', { name, type: 'error', version: current, ...attrs }, [
      node('error', { code: '409', text: 'conflict' }),
      patches,
    ])
  }
  collection.patches.push(numbered(patch, version + 1))
  const now = String(collection.patches.length)
  for (const other of device.account.devices.values()) {
    if (other !== device) notify(world, other, 'server_sync', [node('collection', { name, version: now })])
  }
  return node('collection', { name, version: now })
}

/** How many patches an answer holds; the client comes back for the rest. */
const MOST_PATCHES = 50

/**
 * A device that starts gets a short collection in patches and a long one in one piece; one that asks for a snapshot
 * although it has a version has lost its way, and is never helped by more patches.
 */
function pulled(
  world: World,
  name: string,
  collection: Collection,
  version: number,
  wantsSnapshot: boolean,
): BinaryNode {
  const current = String(collection.patches.length)
  const whole = wantsSnapshot && (version > 0 || collection.patches.length > MOST_PATCHES)
  const snapshot = whole ? snapshotOf(collection) : null
  if (snapshot !== null && world.storeFile !== null) {
    const blob = externalBlob(snapshot, world.random, world.storeFile)
    return node('collection', { name, version: current }, [node('snapshot', {}, blob), node('patches')])
  }
  const { attrs, patches } = page(collection, version)
  return node('collection', { name, version: current, ...attrs }, [patches])
}

/** The patches after a version, as many as fit into one answer. */
function page({ patches }: Collection, after: number): { attrs: Attrs; patches: BinaryNode } {
  const shown = patches.slice(after, after + MOST_PATCHES)
  const attrs = after + shown.length < patches.length ? { has_more_patches: 'true' } : {}
  return {
    attrs,
    patches: node(
      'patches',
      {},
      shown.map((patch) => node('patch', {}, patch)),
    ),
  }
}

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
