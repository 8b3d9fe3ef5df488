import { expect, test } from 'bun:test'
import { HEAD_BYTES, isPolyglot, sniff } from '../../src/media/sniff'
import { film } from './films'
import { gif, jpeg, png, webp } from './pictures'
import { mp3, opus, tone, vorbis, wav } from './sounds'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')
const padded = (text: string): Buffer => Buffer.concat([latin1(text), Buffer.alloc(600)])
const sound = [tone(16_000, 0.2)]

const FILES: [mimetype: string, family: string, file: () => Buffer | Promise<Buffer>][] = [
  ['image/jpeg', 'image', () => jpeg(20, 10)],
  ['image/png', 'image', () => png(20, 10)],
  ['image/webp', 'image', () => webp(20, 10)],
  ['image/gif', 'image', () => gif(20, 10, 1)],
  ['image/bmp', 'image', () => latin1(`BM\x9a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0${'\0'.repeat(40)}`)],
  ['image/tiff', 'image', () => padded('II*\0')],
  ['image/heic', 'image', () => padded('\0\0\0\x18ftypheic\0\0\0\0mif1heic')],
  ['image/avif', 'image', () => padded('\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf')],
  ['image/avif', 'image', () => padded('\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf')],
  ['video/mp4', 'video', () => film()],
  ['video/mp4', 'video', () => film({ brand: 'mp42' })],
  ['video/3gpp', 'video', () => film({ brand: '3gp5' })],
  ['video/quicktime', 'video', () => film({ brand: 'qt  ' })],
  ['audio/mp4', 'audio', () => film({ brand: 'M4A ' })],
  ['video/webm', 'video', () => padded('\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\x82\x84webm')],
  ['video/x-matroska', 'video', () => padded('\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska')],
  ['video/x-msvideo', 'video', () => padded('RIFF\0\0\0\0AVI LIST')],
  ['audio/ogg; codecs=opus', 'audio', () => opus([tone(48_000, 0.2)])],
  ['audio/ogg; codecs=vorbis', 'audio', () => vorbis(sound, 16_000)],
  ['audio/mpeg', 'audio', () => mp3(sound, 16_000)],
  ['audio/mpeg', 'audio', () => padded('ID3\x04\0\0\0\0\0\0')],
  ['audio/wav', 'audio', () => wav(sound, 16_000)],
  ['audio/aac', 'audio', () => padded('\xff\xf1\x50\x80\x01\x7f\xfc')],
  ['audio/amr', 'audio', () => padded('#!AMR\n')],
  ['audio/amr-wb', 'audio', () => padded('#!AMR-WB\n')],
  ['audio/flac', 'audio', () => padded('fLaC\0\0\0\x22')],
  ['audio/aiff', 'audio', () => padded('FORM\0\0\0\0AIFFCOMM')],
  ['application/pdf', 'document', () => padded('%PDF-1.7\n')],
  ['application/zip', 'archive', () => padded('PK\x03\x04\x14\0\0\0\x08\0')],
  [
    'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    'document',
    () => padded('PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml PK\x03\x04word/document.xml'),
  ],
  [
    'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    'document',
    () => padded('PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml PK\x03\x04xl/workbook.xml'),
  ],
  [
    'application/vnd.oasis.opendocument.text',
    'document',
    () => padded(`PK\x03\x04${'\0'.repeat(26)}mimetypeapplication/vnd.oasis.opendocument.textPK\x03\x04`),
  ],
  ['application/vnd.android.package-archive', 'archive', () => padded('PK\x03\x04____AndroidManifest.xml')],
  ['application/gzip', 'archive', () => padded('\x1f\x8b\x08')],
  [
    'application/x-tar',
    'archive',
    () => Buffer.concat([Buffer.alloc(257, 97), latin1('ustar\0'), Buffer.alloc(300)]),
  ],
  ['application/x-elf', 'program', () => padded('\x7fELF\x02')],
  ['application/vnd.microsoft.portable-executable', 'program', () => padded('MZ\x90\0')],
  ['application/wasm', 'program', () => padded('\0asm\x01')],
  ['text/x-shellscript', 'program', () => latin1('#!/bin/sh\nrm -rf /\n')],
  ['text/html', 'markup', () => latin1('<!DOCTYPE html><html>')],
  ['text/html', 'markup', () => latin1('\n\n   <!-- hello --><script>alert(1)</script>')],
  ['text/html', 'markup', () => Buffer.from('\ufeff<HTML><body>')],
  ['text/html', 'markup', () => Buffer.from('\ufeff<html><body>x', 'utf16le')],
  ['text/html', 'markup', () => latin1('<img src=x onerror=alert(1)>')],
  ['image/svg+xml', 'markup', () => latin1('<svg xmlns="http://www.w3.org/2000/svg">')],
  ['image/svg+xml', 'markup', () => latin1('<?xml version="1.0"?><!-- x -->\n<svg:svg xmlns:svg="x">')],
  ['text/xml', 'markup', () => latin1('<?xml version="1.0"?><feed/>')],
  ['text/vcard', 'text', () => latin1('BEGIN:VCARD\nVERSION:3.0\n')],
  ['text/plain', 'text', () => latin1('hello, a < b and b > c')],
  ['text/plain', 'text', () => Buffer.from('Grüße, 你好 👋'.repeat(2000)).subarray(0, HEAD_BYTES)],
  ['text/plain', 'text', () => latin1('BMW is a car, MZ a motorcycle')],
  ['application/octet-stream', 'unknown', () => Buffer.from([1, 2, 3, 0, 0, 255])],
  ['application/octet-stream', 'unknown', () => Buffer.alloc(0)],
  ['application/octet-stream', 'unknown', () => Buffer.from([0xff, 0xff, 0xff, 0xff])],
]

test.each(FILES)('%s (%s) is known by its bytes', async (mimetype, family, file) => {
  const found = sniff((await file()).subarray(0, HEAD_BYTES))
  expect(found).toEqual({ mimetype, family: family as 'image' })
})

test('half a signature is none, and no head is too short to be looked at', async () => {
  for (const [, , file] of FILES) {
    const whole = await file()
    for (const length of [1, 2, 3, 4, 7, 11, 12, 20, 27, 40])
      expect(() => sniff(whole.subarray(0, length))).not.toThrow()
  }
})

test('files that are two things at once are found', async () => {
  const picture = await jpeg(50, 50)
  const comment = (text: string) => {
    const head = Buffer.from([0xff, 0xfe, 0, 0])
    head.writeUInt16BE(text.length + 2, 2)
    return Buffer.concat([picture.subarray(0, 2), head, latin1(text), picture.subarray(2)])
  }
  const archive = latin1(`PK\x05\x06${'\0'.repeat(18)}`)
  const ends = (tail: Buffer) => isPolyglot(picture, Buffer.concat([picture, tail]).subarray(-66_000))
  expect(isPolyglot(picture, picture)).toBe(false)
  expect(isPolyglot(comment('taken in Berlin'))).toBe(false)
  for (const page of [
    '<script>x()</script>',
    '<!doctype HTML>',
    '<SVG onload=x>',
    '<html>',
    '<iframe src=x>',
  ])
    expect([page, isPolyglot(comment(page))]).toEqual([page, true])
  expect(isPolyglot(comment('%PDF-1.4'))).toBe(true)
  expect(ends(archive)).toBe(true)
  expect(ends(Buffer.concat([archive, latin1('x')]))).toBe(false)
  expect(ends(latin1(`PK\x05\x06${'\0'.repeat(16)}\x05\0hello`))).toBe(true)
  // A phone's moving photo carries a film behind the picture, and that is fine.
  expect(ends(film())).toBe(false)
})
