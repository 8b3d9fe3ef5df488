/**
 * The fields of an event as they stand on disk: deflated JSON with a dictionary of what events have in common.
 *
 * The first byte names the dictionary; `{` (0x7b) is JSON as it is. A text received goes from about 400 bytes to 80 in
 * 6 µs. A dictionary that was released never changes: another one gets another number.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { readVarint, varint } from './varint'

/** What is nearest to the end is cheapest to point at, so the most frequent event comes last. */
const DICTIONARIES: Readonly<Record<number, Buffer>> = {
  1: Buffer.from(
    [
      '"reason":"connection_lost","willReconnect":true,"nextAttemptAt":null,"phoneNumber":"+49","deviceInfo":{"model":"","version":""}',
      '"forwarded":true,"forwardingScore":1,"mentionsAll":true,"disappearingSeconds":86400,"albumId":"3EB0',
      '"options":[""],"question":"","selectable":1,"contacts":[{"fullName":"","vcard":"BEGIN:VCARD\\nVERSION:3.0\\nFN:',
      '"latitude":,"longitude":,"name":"","address":"","emoji":"","targetMessageId":"3EB0',
      '"caption":"","media":{"mimetype":"image/jpeg","size":,"width":,"height":,"filename":".pdf","seconds":,"url":"/api/messages/',
      '"type":"image","type":"video/mp4","type":"audio/ogg; codecs=opus","type":"document","application/pdf","type":"sticker"',
      '"code":"","error":"","groupId":"@g.us","participants":["@lid"],"action":"add","by":"","subject":""',
      '{"messageId":"3EB0","from":"me","to":"@g.us","chat":"","type":"text","lid":"@lid","phoneNumber":"","fromMe":true,"viaApi":true',
      ',"text":"","mentions":[],"quoted":null,"sentAt":"2026-11-24T10:00:00.000Z","offline":false}',
      '{"messageId":"3A","from":"49","to":"me","chat":"","type":"text","text":"","contact":{"name":"","profilePicture":null}',
      ',"lid":"@lid","phoneNumber":"49","mentions":[],"quoted":null,"sentAt":"2026-12-01T00:00:00.000Z","fromMe":false,"viaApi":false,"offline":false}',
    ].join(''),
  ),
}
const CURRENT = 1
/** Followed by the number of a message (varint): packed beside what is stored of that. */
const BESIDE = 0
const dictionaryOf = (number: number): Buffer => {
  const dictionary = DICTIONARIES[number]
  if (dictionary === undefined) throw new Error(`This program does not know event dictionary ${number}`)
  return dictionary
}
const OPENING_BRACE = 0x7b

/**
 * Room that an answer gets at first: nearly all are smaller, and the usual 16 KiB would be garbage each time. The same goes
 * for the 256 KiB in which zlib looks for what it has seen: the dictionaries and most events fit into 4 KiB.
 */
const ROOM = { chunkSize: 1_024, windowBits: 12, memLevel: 4 }

/** Packs a JSON object; quickly, for there are several to each message sent. */
export function packFields(json: string): Buffer {
  const plain = Buffer.from(json)
  const deflated = deflateRawSync(plain, {
    level: 1,
    ...ROOM,
    dictionary: dictionaryOf(CURRENT),
  })
  return deflated.length + 1 < plain.length ? Buffer.concat([Uint8Array.of(CURRENT), deflated]) : plain
}

/** The JSON that `packFields` was given; throws when it was packed by a newer program or is spoilt. */
export function unpackFields(packed: Uint8Array): string {
  const [first] = packed
  if (first === OPENING_BRACE || first === undefined) return Buffer.from(packed).toString('utf8')
  return inflateRawSync(packed.subarray(1), { dictionary: dictionaryOf(first) }).toString('utf8')
}

/** Packs a JSON object beside the bytes of a stored message, of which it repeats much; as small as can be. */
export function packBeside(json: string, message: number, beside: Uint8Array): Buffer {
  const dictionary = Buffer.concat([dictionaryOf(CURRENT), beside])
  const deflated = deflateRawSync(Buffer.from(json), { level: 6, ...ROOM, dictionary })
  return Buffer.concat([Uint8Array.of(BESIDE, CURRENT, ...varint(message)), deflated])
}

/** The message beside which something was packed; null when it stands for itself. */
export const besideWhich = (packed: Uint8Array): number | null =>
  packed[0] === BESIDE ? readVarint(packed, 2).value : null

/** What `packBeside` was given. */
export function unpackBeside(packed: Uint8Array, beside: Uint8Array): string {
  const dictionary = Buffer.concat([dictionaryOf(packed[1] ?? 0), beside])
  return inflateRawSync(packed.subarray(readVarint(packed, 2).next), { dictionary }).toString('utf8')
}
