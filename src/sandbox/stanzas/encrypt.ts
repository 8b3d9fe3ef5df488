/** Keys: upload, count, rotation, digest, and bundles of others (wire notes §6.1, §7). */
import { createHash } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { notify } from '../delivery'
import { parseJid } from '../jid'
import { identityNodes, KEY_TYPE, readPreKey, readSignedPreKey, signedPreKeyOf, takeBundle } from '../keys'
import { child, childBytes, children, node, readNumber, result } from '../node'
import { demand, Refusal } from '../refusal'
import type { Device } from '../types'
import type { Origin, World } from '../world'

/** The largest upload a client makes at once. */
const MOST_PRE_KEYS = 812
/** Below it, a device is asked for more. */
const FEW_PRE_KEYS = 5
/** A request for a group of the largest size, three devices each, fits; more is not a client's. */
const MOST_BUNDLES = 5000

/** `xmlns=encrypt`. */
export function handleEncrypt(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const item = child(request)
  if (request.attrs.type === 'set') {
    if (item?.tag === 'rotate') return rotate(device, request, item)
    return upload(device, request)
  }
  demand(request.attrs.type === 'get', 400, 'bad-request')
  if (item?.tag === 'count') {
    return result(request, [node('count', { value: String(device.preKeys.length) })])
  }
  if (item?.tag === 'digest') return digest(device, request)
  if (item?.tag === 'key') return bundles(world, request, item)
  throw new Refusal(400, 'bad-request')
}

function upload(device: Device, request: BinaryNode): BinaryNode {
  const identity = childBytes(request, 'identity')
  const registration = childBytes(request, 'registration')
  demand(childBytes(request, 'type')?.equals(KEY_TYPE), 406, 'not-acceptable')
  demand(identity?.equals(device.identityKey) === true, 409, 'conflict')
  demand(registration !== undefined && readNumber(registration) === device.registrationId, 409, 'conflict')
  const items = children(child(request, 'list'), 'key')
  demand(items.length > 0 && items.length <= MOST_PRE_KEYS, 406, 'not-acceptable')
  const signedPreKey = readSignedPreKey(child(request, 'skey'), device.identityKey)
  const preKeys = items.map(readPreKey)
  demand(new Set(preKeys.map((key) => key.id)).size === preKeys.length, 406, 'not-acceptable')

  const fresh = new Set(preKeys.map((key) => key.id))
  device.preKeys = [...device.preKeys.filter((key) => !fresh.has(key.id)), ...preKeys]
  device.signedPreKey = signedPreKey
  return result(request)
}

function rotate(device: Device, request: BinaryNode, item: BinaryNode): BinaryNode {
  device.signedPreKey = readSignedPreKey(child(item, 'skey'), device.identityKey)
  return result(request)
}

/** What the server holds, so that a client can compare. The list of ids is left out: clients only look for the digest. */
function digest(device: Device, request: BinaryNode): BinaryNode {
  const hash = createHash('sha1').update(device.identityKey).update(device.signedPreKey.publicKey)
  for (const key of device.preKeys) hash.update(key.publicKey)
  const content = [...identityNodes(device), signedPreKeyOf(device), node('hash', {}, hash.digest())]
  return result(request, [node('digest', {}, content)])
}

function bundles(world: World, request: BinaryNode, item: BinaryNode): BinaryNode {
  const users = children(item, 'user')
  demand(users.length > 0 && users.length <= MOST_BUNDLES, 406, 'not-acceptable')
  const list = users.map(({ attrs }) => {
    const device = world.directory.device(parseJid(attrs.jid))
    if (device === undefined) {
      const error = node('error', { code: '404', text: 'item-not-found' })
      return node('user', { jid: attrs.jid }, [error])
    }
    const before = device.preKeys.length
    const bundle = takeBundle(device)
    if (before === FEW_PRE_KEYS) askForPreKeys(world, device)
    return node('user', { jid: attrs.jid }, bundle)
  })
  return result(request, [node('list', {}, list)])
}

/** Asked once per shortage: when the stock falls below the mark, not with every key after that. */
function askForPreKeys(world: World, device: Device): void {
  notify(world, device, 'encrypt', [node('count', { value: String(device.preKeys.length) })])
}
