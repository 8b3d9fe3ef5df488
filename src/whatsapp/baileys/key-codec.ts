/**
 * Values of Baileys' key store as bytes, exactly: what comes back equals what went in, for types known and unknown.
 *
 * One leading byte tells the form: 0 raw bytes, 1 JSON whose byte arrays are marked, 2 an app-state key as protobuf.
 */
import { proto } from '@whiskeysockets/baileys'

const RAW = 0
const JSON_TEXT = 1
const APP_STATE_KEY = 2

const tagged = (tag: number, bytes: Uint8Array): Buffer => Buffer.concat([Buffer.from([tag]), bytes])

/** `type` only matters for the one type whose values are protobuf objects. */
export function encodeValue(type: string, value: unknown): Buffer {
  if (value instanceof Uint8Array) return tagged(RAW, value)
  if (type === 'app-state-sync-key') {
    const key = proto.Message.AppStateSyncKeyData.fromObject(value as object)
    return tagged(APP_STATE_KEY, proto.Message.AppStateSyncKeyData.encode(key).finish())
  }
  return tagged(JSON_TEXT, Buffer.from(toJson(value), 'utf8'))
}

export function decodeValue(bytes: Uint8Array): unknown {
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).subarray(1)
  switch (bytes[0]) {
    case RAW:
      return body
    case JSON_TEXT:
      return fromJson(body.toString('utf8'))
    case APP_STATE_KEY:
      return proto.Message.AppStateSyncKeyData.decode(body)
    default:
      throw new Error(`A stored key has the unknown form ${bytes[0]}`)
  }
}

/** Most values hold no byte arrays, and looking for them is ten times cheaper than asking at every field. */
const holdsBytes = (value: unknown): boolean =>
  typeof value === 'object' &&
  value !== null &&
  (value instanceof Uint8Array || Object.values(value).some(holdsBytes))

/** JSON in which byte arrays are `{"type":"Buffer","data":"<base64>"}`. */
export function toJson(value: unknown): string {
  if (!holdsBytes(value)) return JSON.stringify(value)
  return JSON.stringify(value, function (this: Record<string, unknown>, key, plain: unknown) {
    // `this[key]` is the value before `Buffer.toJSON` has turned it into a list of numbers.
    const original = this[key]
    return original instanceof Uint8Array
      ? { type: 'Buffer', data: Buffer.from(original).toString('base64') }
      : plain
  })
}

/** Reads both spellings of byte arrays; unlike Baileys' reviver this one leaves objects with numeric names alone. */
export function fromJson(text: string): unknown {
  if (!text.includes('"Buffer"')) return JSON.parse(text)
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null) return value
    const { type, data } = value as { type?: unknown; data?: unknown }
    if (type !== 'Buffer') return value
    if (typeof data === 'string') return Buffer.from(data, 'base64')
    return Array.isArray(data) ? Buffer.from(data as number[]) : value
  })
}
