/** Public keys as clients upload them: reading, checking and handing out. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { verifyXEdDSA } from '../lib/xeddsa'
import { childBytes, node, readNumber, writeNumber } from './node'
import { demand } from './refusal'
import type { Device, PublicPreKey } from './types'

/** Curve25519, the only key type there is. */
export const KEY_TYPE = Buffer.from([5])
export const KEY_LENGTH = 32
const ID_BYTES = 3

export type SignedPreKey = PublicPreKey & { signature: Buffer }

/** Whether the signature over the typed public key was made by the identity. */
export const signedPreKeyFits = (identityKey: Buffer, key: SignedPreKey): boolean =>
  identityKey.length === KEY_LENGTH &&
  key.publicKey.length === KEY_LENGTH &&
  verifyXEdDSA(identityKey, Buffer.concat([KEY_TYPE, key.publicKey]), key.signature)

/** Reads `<key><id/><value/></key>`; refuses other sizes. */
export function readPreKey(item: BinaryNode | undefined): PublicPreKey {
  const id = childBytes(item, 'id')
  const publicKey = childBytes(item, 'value')
  demand(id?.length === ID_BYTES && publicKey?.length === KEY_LENGTH, 406, 'not-acceptable')
  return { id: readNumber(id), publicKey }
}

/** Reads `<skey>`; refuses one that the identity did not sign. */
export function readSignedPreKey(item: BinaryNode | undefined, identityKey: Buffer): SignedPreKey {
  const signature = childBytes(item, 'signature')
  const key = { ...readPreKey(item), signature: signature ?? Buffer.alloc(0) }
  demand(signedPreKeyFits(identityKey, key), 406, 'bad-signature')
  return key
}

const preKeyNode = (tag: string, key: PublicPreKey, more: BinaryNode[] = []): BinaryNode =>
  node(tag, {}, [node('id', {}, writeNumber(key.id, ID_BYTES)), node('value', {}, key.publicKey), ...more])

const signedPreKeyNode = (key: SignedPreKey): BinaryNode =>
  preKeyNode('skey', key, [node('signature', {}, key.signature)])

/** What opens a session with a device. Takes a one-time pre-key out of the stock for good, if there is one left. */
export function takeBundle(device: Device): BinaryNode[] {
  const oneTime = device.preKeys.shift()
  const bundle = [...identityNodes(device), signedPreKeyNode(device.signedPreKey)]
  if (oneTime !== undefined) bundle.push(preKeyNode('key', oneTime))
  if (device.deviceIdentity !== null) bundle.push(node('device-identity', {}, device.deviceIdentity))
  return bundle
}

/** The unchanging part of a device's keys. */
export const identityNodes = (device: Device): BinaryNode[] => [
  node('registration', {}, writeNumber(device.registrationId, 4)),
  node('type', {}, KEY_TYPE),
  node('identity', {}, device.identityKey),
]

/** The current signed pre-key, as digests and bundles show it. */
export const signedPreKeyOf = (device: Device): BinaryNode => signedPreKeyNode(device.signedPreKey)
