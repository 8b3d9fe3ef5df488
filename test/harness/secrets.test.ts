import { expect, test } from 'bun:test'
import { inspect } from 'node:util'
import { formsIn, secretText } from './secrets'

const bytes = Buffer.from('f0e1d2c3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccddeeff', 'hex')
const key = { name: 'a key', bytes }

test.each([
  ['hex', bytes.toString('hex')],
  ['hex', bytes.toString('hex').toUpperCase()],
  ['hex', inspect(bytes)],
  ['base64', bytes.toString('base64')],
  ['base64', bytes.toString('base64url')],
  ['base64', Buffer.concat([bytes, Buffer.from('more')]).toString('base64')],
  ['decimal', JSON.stringify(bytes)],
  ['decimal', inspect(new Uint8Array(bytes), { breakLength: Number.POSITIVE_INFINITY })],
  ['plain', bytes.toString('latin1')],
])('bytes are found as %s', (form, printed) => {
  expect(formsIn(`before ${printed} after`, key)).toContain(form)
  expect(formsIn('before after', key)).toEqual([])
})

test.each([
  ['plain', (text: string) => text],
  ['escaped', (text: string) => JSON.stringify({ text })],
  ['escaped', (text: string) => encodeURIComponent(text)],
  ['base64', (text: string) => Buffer.from(text).toString('base64')],
  ['hex', (text: string) => Buffer.from(text).toString('hex')],
])('texts are found as %s', (form, print) => {
  const text = 'a "quoted" text\nwith ü'
  expect(formsIn(print(text), secretText('a text', text))).toContain(form)
})
