/**
 * API keys: `wapi_`, 32 random URL-safe characters, and a checksum of 6, so that scanners recognise them and junk is
 * refused without a look-up. Only their SHA-256 is stored: 192 random bits need no slow hash.
 */
import { crc32 } from 'node:zlib'
import { randomToken, sha256Hex } from '../lib/token'

const PREFIX = 'wapi_'
const RANDOM_BYTES = 24
const FORM = /^wapi_[A-Za-z0-9_-]{38}$/

/** 32 bits as 6 URL-safe characters. */
function checksum(text: string): string {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(crc32(text))
  return bytes.toString('base64url')
}

/** A fresh key. */
export function newApiKey(): string {
  const body = `${PREFIX}${randomToken(RANDOM_BYTES)}`
  return body + checksum(body)
}

/** True when the text has the form of a key and its checksum is right; says nothing about whether it exists. */
export const isApiKey = (text: string): boolean =>
  FORM.test(text) && checksum(text.slice(0, -6)) === text.slice(-6)

/** What is stored of a key, hex. */
export const hashApiKey = (key: string): string => sha256Hex(key)

/** How a key is shown in lists: `wapi_12…cdef`. */
export const maskApiKey = (key: string): string => `${key.slice(0, 7)}…${key.slice(-4)}`
