/**
 * The app state as devices read and write it (wire notes §8.2): patches encrypted under keys that the phone hands to its
 * companions, each one sealed with two MACs over a running hash of everything there is. The server between numbers
 * patches and understands none. Nothing here keeps or sends anything; a state is a value that each patch replaces.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  type BinaryNode,
  decodeSyncdPatch,
  encodeSyncdPatch,
  isMissingKeyError,
  type LTHashState,
  newLTHashState,
  proto,
  type WAPatchName,
} from '@whiskeysockets/baileys'
import { expandAppStateKeys } from 'whatsapp-rust-bridge'
import { bytesOf, child, children, node, SERVER } from './node'

/** The five collections, in the order in which clients pull them. */
export const COLLECTIONS = [
  'critical_block',
  'critical_unblock_low',
  'regular_high',
  'regular_low',
  'regular',
] as const satisfies readonly WAPatchName[]
export type CollectionName = (typeof COLLECTIONS)[number]

/** A key of the app state: the name patches call it by (6 bytes), and its 32 bytes. */
export type AppStateKey = { id: Uint8Array; data: Uint8Array }

/** One change: `index` says what it is about (`['star', chat, message id, …]`), `value` what it is from now on. */
export type Mutation = {
  operation: 'set' | 'remove'
  index: string[]
  value: proto.ISyncActionValue
  /** Version of the action's form, as WhatsApp numbers them. */
  version: number
}

/** What a device has to remember of a collection in order to check and to write the next patch. */
export type CollectionState = { version: number; hash: Buffer; values: Record<string, Buffer> }

/** A patch whose MACs do not fit: wrong key, another order, or somebody tampered with it. */
export class BrokenPatch extends Error {
  override readonly name = 'BrokenPatch'
}

/** A patch under a key that this device was never given. */
export class UnknownKey extends Error {
  override readonly name = 'UnknownKey'
}

/** A collection before its first patch. */
export const emptyCollection = (): CollectionState => ({ version: 0, hash: Buffer.alloc(128), values: {} })

/**
 * Opens the next patch of a collection, as the server handed it out. Throws `UnknownKey` when `keyOf` returns nothing
 * for the key's id, and `BrokenPatch` when anything about it does not fit; the state is then the one before.
 */
export async function decodePatch(
  name: CollectionName,
  bytes: Uint8Array,
  state: CollectionState,
  keyOf: (id: Buffer) => AppStateKey | undefined,
): Promise<{ state: CollectionState; mutations: Mutation[] }> {
  const patch = proto.SyncdPatch.decode(bytes)
  const id = Buffer.from(patch.keyId?.id ?? [])
  const key = keyOf(id)
  if (key === undefined) throw new UnknownKey(`No app state key ${id.toString('hex')}`)
  const version = Number(patch.version?.version ?? 0)

  const mutations: Mutation[] = []
  const operations = patch.mutations.map(({ operation }) => operation)
  const decoded = await decodeSyncdPatch(
    patch,
    name,
    toLibrary(state),
    async (wanted) => found(keyOf(Buffer.from(wanted, 'base64'))),
    ({ index, syncAction }) => {
      const operation = operations[mutations.length] === REMOVE ? 'remove' : 'set'
      const { value, version: form } = syncAction
      mutations.push({ operation, index: index.map(String), value: value ?? {}, version: form ?? 0 })
    },
    true,
  ).catch((cause: unknown) => {
    if (isMissingKeyError(cause)) throw new UnknownKey(`${name} ${version} is partly under another key`)
    throw new BrokenPatch(`${name} ${version}`, { cause })
  })
  const next = fromLibrary({ ...decoded, version })
  const mac = snapshotMac(name, next, key)
  const given = Buffer.from(patch.snapshotMac ?? [])
  if (given.length !== mac.length || !timingSafeEqual(given, mac)) {
    throw new BrokenPatch(`${name} ${version}: another state than the one it was made for`)
  }
  return { state: next, mutations }
}

/** Writes the next patch of a collection; push it with `version` of the state before. */
export async function encodePatch(
  name: CollectionName,
  { operation, index, value, version }: Mutation,
  state: CollectionState,
  key: AppStateKey,
): Promise<{ bytes: Buffer; state: CollectionState }> {
  const made = await encodeSyncdPatch(
    {
      type: name,
      index,
      syncAction: value,
      apiVersion: version,
      operation: operation === 'remove' ? REMOVE : SET,
    },
    Buffer.from(key.id).toString('base64'),
    toLibrary(state),
    async () => found(key),
  )
  const next = fromLibrary(made.state)
  // The library counts a removed value among those that are there.
  if (operation === 'remove') {
    const [mutation] = made.patch.mutations ?? []
    delete next.values[Buffer.from(mutation?.record?.index?.blob ?? []).toString('base64')]
  }
  return { bytes: Buffer.from(proto.SyncdPatch.encode(made.patch).finish()), state: next }
}

/** The query for everything after a version. */
export const pullRequest = (name: CollectionName, version: number): BinaryNode =>
  syncRequest(node('collection', { name, version: String(version), return_snapshot: 'false' }))

/** The query that adds a patch to a collection of this version. */
export const pushRequest = (name: CollectionName, version: number, patch: Uint8Array): BinaryNode =>
  syncRequest(
    node('collection', { name, version: String(version), return_snapshot: 'false' }, [
      node('patch', {}, patch),
    ]),
  )

const syncRequest = (collection: BinaryNode) =>
  node('iq', { type: 'set', xmlns: 'w:sync:app:state', to: SERVER }, [node('sync', {}, [collection])])

/** The answer to either query. After a `conflict` the patches are those that one has missed. */
export function readCollection(answer: BinaryNode): {
  name: string
  conflict: boolean
  more: boolean
  patches: Buffer[]
} {
  const collection = child(child(answer, 'sync'), 'collection')
  return {
    name: collection?.attrs.name ?? '',
    conflict: child(collection, 'error')?.attrs.code === '409',
    more: collection?.attrs.has_more_patches === 'true',
    patches: children(child(collection, 'patches'), 'patch').flatMap((patch) => bytesOf(patch) ?? []),
  }
}

const { SET, REMOVE } = proto.SyncdMutation.SyncdOperation

const found = (key: AppStateKey | undefined) =>
  key === undefined ? undefined : proto.Message.AppStateSyncKeyData.fromObject({ keyData: key.data })

const toLibrary = ({ version, hash, values }: CollectionState): LTHashState => ({
  ...newLTHashState(),
  version,
  hash,
  indexValueMap: Object.fromEntries(Object.entries(values).map(([at, valueMac]) => [at, { valueMac }])),
})

const fromLibrary = ({ version, hash, indexValueMap }: LTHashState): CollectionState => ({
  version,
  hash: Buffer.from(hash),
  values: Object.fromEntries(
    Object.entries(indexValueMap).map(([at, { valueMac }]) => [at, Buffer.from(valueMac)]),
  ),
})

/** Over the hash of all values, the version and the collection's name. */
function snapshotMac(name: string, { hash, version }: CollectionState, key: AppStateKey): Buffer {
  const place = Buffer.alloc(8)
  place.writeBigUInt64BE(BigInt(version))
  const { snapshotMacKey } = expandAppStateKeys(key.data)
  return createHmac('sha256', snapshotMacKey).update(hash).update(place).update(name).digest()
}
