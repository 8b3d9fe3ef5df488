/**
 * A collection in one piece, for devices that begin or that have lost their way. The server reads no value; it knows
 * which record replaces which by their index MACs, and the last patch's MAC over the whole state is the snapshot's too.
 */
import { createCipheriv, createHash, createHmac, hkdfSync } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import type { Collection } from './profiles'
import type { Random } from './random'

const MAC_BYTES = 10
const KEY_INFO = 'WhatsApp App State Keys'

/** All records that are there after the last patch; null before the first one. */
export function snapshotOf({ patches }: Collection): Buffer | null {
  const records = new Map<string, proto.ISyncdRecord>()
  let last: proto.SyncdPatch | null = null
  for (const bytes of patches) {
    last = proto.SyncdPatch.decode(bytes)
    for (const { operation, record } of last.mutations) {
      const index = Buffer.from(record?.index?.blob ?? []).toString('base64')
      if (operation === proto.SyncdMutation.SyncdOperation.REMOVE || !record) records.delete(index)
      else records.set(index, record)
    }
  }
  if (last === null) return null
  const snapshot: proto.ISyncdSnapshot = { records: [...records.values()] }
  if (last.version) snapshot.version = last.version
  if (last.keyId) snapshot.keyId = last.keyId
  if (last.snapshotMac) snapshot.mac = last.snapshotMac
  return Buffer.from(proto.SyncdSnapshot.encode(snapshot).finish())
}

/** Seals a snapshot as a file and says, in the form of the protocol, where it lies and how it is opened. */
export function externalBlob(snapshot: Buffer, random: Random, store: (sealed: Buffer) => string): Buffer {
  const mediaKey = random(32)
  const keys = Buffer.from(hkdfSync('sha256', mediaKey, Buffer.alloc(0), KEY_INFO, 112))
  const iv = keys.subarray(0, 16)
  const cipher = createCipheriv('aes-256-cbc', keys.subarray(16, 48), iv)
  const ciphertext = Buffer.concat([cipher.update(snapshot), cipher.final()])
  const mac = createHmac('sha256', keys.subarray(48, 80)).update(iv).update(ciphertext).digest()
  const sealed = Buffer.concat([ciphertext, mac.subarray(0, MAC_BYTES)])
  const blob = {
    mediaKey,
    directPath: store(sealed),
    fileSizeBytes: snapshot.length,
    fileSha256: sha256(snapshot),
    fileEncSha256: sha256(sealed),
  }
  return Buffer.from(proto.ExternalBlobReference.encode(blob).finish())
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
