/**
 * X1: JSON and schemas. Where the list of hard inputs says 422, the contract says 400; where it has a code of its own for
 * depth, the contract has `INVALID_JSON`.
 */
import { expect } from 'bun:test'
import { gzipSync } from 'node:zlib'
import type { CallOptions } from '../../harness/app'
import { type HardRig, head } from './rig'
import { type HardRow, row } from './row'

const JSON_TYPE = { 'content-type': 'application/json' }
const raw = (text: string | Uint8Array, headers: Record<string, string> = JSON_TYPE): CallOptions => ({
  raw: text,
  headers,
})
const INVALID_JSON: [400, 'INVALID_JSON'] = [400, 'INVALID_JSON']
const UNSUPPORTED: [415, 'UNSUPPORTED_MEDIA_TYPE'] = [415, 'UNSUPPORTED_MEDIA_TYPE']
const wrong = (...at: string[]): [400, 'VALIDATION_ERROR', ...string[]] => [400, 'VALIDATION_ERROR', ...at]

const create = (rig: HardRig, options: CallOptions, expected: Parameters<HardRig['refused']>[3]) =>
  rig.refused('POST', '/api/sessions', options, expected)
/** A body of so many keys in each object of a list. */
const keys = (inEach: number, objects = 1): string => {
  const one = `{${Array.from({ length: inEach }, (_, at) => `"k${at}":1`).join(',')}}`
  return `{"name":[${new Array(objects).fill(one).join(',')}]}`
}

export const JSON_ROWS: readonly HardRow[] = [
  row(1, 'truncated JSON', async (rig) => {
    for (const text of ['{"name":', '{', '{"name":"a"', '"', '{"name":"a\\', 'name=x', '{"name":"a"}}']) {
      await create(rig, raw(text), INVALID_JSON)
    }
  }),
  // An empty body is no body at all: what is missing is told, as the manual’s commands without a body need it.
  row(2, 'an empty body', (rig) => create(rig, raw(''), wrong()).then(() => undefined)),
  row(3, 'null', (rig) => create(rig, raw('null'), wrong()).then(() => undefined)),
  row(4, 'an array', (rig) => create(rig, raw('[]'), wrong()).then(() => undefined)),
  row(5, 'a name that is missing', async (rig) => {
    await create(rig, { body: {} }, wrong('/name'))
    await create(
      rig,
      { body: { ownerId: 1, description: 5, settings: { autoReconect: true } } },
      wrong('/name', '/ownerId', '/description', '/settings/autoReconect'),
    )
  }),
  row(6, 'a name that is empty or blank', async (rig) => {
    for (const name of ['', '   ', '\t']) await create(rig, { body: { name } }, wrong('/name'))
  }),
  row(7, 'a name of 101 characters', async (rig) => {
    await create(rig, { body: { name: 'x'.repeat(101) } }, wrong('/name'))
    await rig.app.session('x'.repeat(100))
  }),
  row(8, 'a name that is no text', async (rig) => {
    for (const name of [5, true, null, {}, ['a']]) await create(rig, { body: { name } }, wrong('/name'))
  }),
  row(9, 'a field that does not exist', async (rig) => {
    const { body } = await create(rig, { body: { name: 'a', ownerId: 'x' } }, wrong('/ownerId'))
    expect(body.details?.fields).toEqual([{ path: '/ownerId', message: 'There is no such field' }])
  }),
  row(10, 'keys that reach for the prototype', async (rig) => {
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      await create(rig, raw(`{"name":"a","${key}":{"polluted":true}}`), wrong())
      await create(rig, raw(`{"name":"a","settings":{"${key}":{"polluted":true}}}`), wrong())
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
    for (const name of [
      { toString: 1 },
      { valueOf: null, toString: [] },
      [{ toString: {} }],
      { toJSON: 1 },
    ]) {
      await create(rig, { body: { name } }, wrong('/name'))
    }
  }),
  row(11, 'a key twice', async (rig) => {
    await create(rig, raw('{"name":"a","name":"b"}'), INVALID_JSON)
    await create(rig, raw('{"name":"a","n\\u0061me":"b"}'), INVALID_JSON)
    await create(rig, raw('{"name":"a","settings":{"webhookUrl":"x","webhookUrl":"y"}}'), INVALID_JSON)
  }),
  row(12, '100,000 levels', async (rig) => {
    await create(rig, raw('['.repeat(100_000)), INVALID_JSON)
    await create(rig, raw(`${'{"a":'.repeat(33)}1${'}'.repeat(33)}`), INVALID_JSON)
    await create(rig, raw(`${'{"a":'.repeat(32)}1${'}'.repeat(32)}`), wrong())
  }),
  row(13, '1,000,000 keys', async (rig) => {
    await create(rig, raw(keys(1_000_000)), [413, 'PAYLOAD_TOO_LARGE'])
    await create(rig, raw(keys(80_000)), INVALID_JSON)
    await create(rig, raw(keys(1_001)), INVALID_JSON)
    await create(rig, raw(keys(1_000)), wrong())
    await create(rig, raw(keys(10, 10_001)), INVALID_JSON)
    // Half a million wrong entries are told by their first fifty.
    const people = {
      sessionId: 'x',
      audience: new Array(500_000).fill(1),
      content: { type: 'text', text: 'x' },
    }
    const told = await rig.refused('POST', '/api/messages/send/status', { body: people }, wrong())
    expect(told.paths.length).toBeLessThanOrEqual(50)
  }),
  row(14, 'a body above 1 MiB, with its length and without', async (rig) => {
    const large = JSON.stringify({ name: 'a'.repeat(2 ** 21) })
    const { body } = await create(rig, raw(large), [413, 'PAYLOAD_TOO_LARGE'])
    expect(body.details).toMatchObject({ maxBytes: 2 ** 20 })
    const stream = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 40; part += 1) controller.enqueue(new Uint8Array(64 * 1024).fill(32))
        controller.close()
      },
    })
    await create(rig, raw(stream as unknown as Uint8Array), [413, 'PAYLOAD_TOO_LARGE'])
    // Above twice the largest file the parser itself refuses, before there is a request that could be answered in our shape.
    const told = head(
      'POST',
      '/api/sessions',
      'Content-Type: application/json',
      'Content-Length: 10000000000',
    )
    expect((await rig.raw(`${told}{`)).statuses).toEqual([413])
  }),
  row(15, 'bytes that are not UTF-8', async (rig) => {
    for (const bytes of [
      [0xff, 0xfe],
      [0xc0, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xf5, 0x80, 0x80, 0x80],
      [0xe2, 0x82],
    ]) {
      const body = Uint8Array.from([...Buffer.from('{"name":"'), ...bytes, ...Buffer.from('"}')])
      await create(rig, raw(body), INVALID_JSON)
    }
  }),
  row(16, 'NUL in a text', async (rig) => {
    await create(rig, raw('{"name":"a\\u0000b"}'), wrong('/name'))
    await create(rig, raw('{"name":"a","settings":{"x\\u0000":1}}'), wrong('/settings'))
  }),
  row(17, 'half of a surrogate pair', async (rig) => {
    for (const half of ['\\ud800', '\\udc00', '\\ud800x', '\\udc00\\ud800']) {
      await create(rig, raw(`{"name":"${half}"}`), wrong('/name'))
    }
  }),
  row(18, 'bidi and control characters in a name: kept as they are, escaped in the log', async (rig) => {
    const strange = 'a\u202egpj.exe\u2066\u200f\u0085\u001b[31m'
    const id = await rig.app.session(strange)
    const { session } = await rig.app.ok<{ session: { name: string } }>('GET', `/api/sessions/${id}`)
    expect(session.name).toBe(strange)
    await rig.app.call('GET', '/api/sessions', { headers: { 'x-request-id': 'a\u009b31m' } })
    const unsafe = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069]/
    expect(rig.app.lines.filter((line) => unsafe.test(line.replace(/\n$/, '')))).toEqual([])
  }),
  row(19, 'a number that is infinite', async (rig) => {
    for (const number of ['1e999', '-1e999']) {
      await create(rig, raw(`{"name":"a","settings":{"reconnectInterval":${number}}}`), wrong())
    }
    for (const number of ['NaN', 'Infinity', '0x10', '01', '+1', '1.']) {
      await create(rig, raw(`{"name":"a","settings":{"reconnectInterval":${number}}}`), INVALID_JSON)
    }
  }),
  row(20, 'a form', async (rig) => {
    await create(rig, raw('name=a', { 'content-type': 'application/x-www-form-urlencoded' }), UNSUPPORTED)
    await create(rig, raw('--B--', { 'content-type': 'multipart/form-data; boundary=B' }), UNSUPPORTED)
  }),
  row(21, 'another content type, or none', async (rig) => {
    for (const type of [
      'text/plain',
      'application/json; charset=latin1',
      'application/jsonp',
      'text/json',
      '',
    ]) {
      await create(rig, raw('{"name":"a"}', { 'content-type': type }), UNSUPPORTED)
    }
    await create(rig, raw(new TextEncoder().encode('{"name":"a"}'), {}), UNSUPPORTED)
    // Control: a charset of UTF-8 is taken.
    for (const type of [
      'application/json; charset=UTF-8',
      'Application/JSON',
      'application/json;charset="utf-8"',
    ]) {
      await rig.app.ok('POST', '/api/sessions', raw('{"name":"a"}', { 'content-type': type }))
    }
  }),
  row(22, 'a compressed body is not unpacked', async (rig) => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024, ' '))
    for (const encoding of ['gzip', 'deflate', 'br', 'zstd', 'gzip, identity', 'x']) {
      await create(rig, raw(bomb, { ...JSON_TYPE, 'content-encoding': encoding }), UNSUPPORTED)
    }
    const form = { 'content-type': 'multipart/form-data; boundary=B', 'content-encoding': 'gzip' }
    await rig.refused('POST', '/api/messages/upload', raw(bomb, form), UNSUPPORTED)
  }),
  row(23, 'a form of 10,000 parts', async (rig) => {
    const part = '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    const form = raw(`${part.repeat(10_000)}--B--\r\n`, { 'content-type': 'multipart/form-data; boundary=B' })
    await rig.refused('POST', '/api/messages/upload', form, [413, 'PAYLOAD_TOO_LARGE'])
  }),
  row(24, 'a body that comes byte by byte ends after 30 s', async (rig) => {
    const type = 'Content-Type: application/json'
    const drip = { piece: ' ', everyMs: 3 }
    await rig.clock.hurry([30_000], async () => {
      for (const bytes of [
        head('POST', '/api/sessions', type, 'Content-Length: 1000000'),
        `POST /api/auth/login HTTP/1.1\r\nHost: wabun.test\r\n${type}\r\nContent-Length: 1000000\r\n\r\n`,
      ]) {
        const { statuses, body } = await rig.raw(bytes, { drip })
        expect({ statuses, code: body?.code }).toEqual({ statuses: [408], code: 'REQUEST_TIMEOUT' })
      }
      const chunked = head('POST', '/api/sessions', type, 'Transfer-Encoding: chunked')
      const { body } = await rig.raw(chunked, { drip: { piece: '1\r\n \r\n', everyMs: 3 } })
      expect(body?.code).toBe('REQUEST_TIMEOUT')
    })
  }),
  row(25, 'a body that is shorter than its length ends after 30 s', async (rig) => {
    const type = 'Content-Type: application/json'
    const form = 'Content-Type: multipart/form-data; boundary=B'
    await rig.clock.hurry([30_000], async () => {
      for (const bytes of [
        `${head('POST', '/api/sessions', type, 'Content-Length: 100')}{"name":"a"}`,
        `${head('POST', '/api/sessions', type, 'Transfer-Encoding: chunked')}5\r\n{"nam\r\n`,
        `${head('POST', '/api/messages/upload', form, 'Content-Length: 1000')}--B\r\n`,
      ]) {
        const { statuses, body, text } = await rig.raw(bytes)
        expect({ statuses, code: body?.code }).toEqual({ statuses: [408], code: 'REQUEST_TIMEOUT' })
        expect(text).toMatch(/^connection: close/im)
      }
    })
  }),
]
