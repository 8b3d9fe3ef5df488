import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { deflateSync } from 'node:zlib'
import { encodeBinaryNode } from '@whiskeysockets/baileys'
import { node, SERVER } from '../../src/sandbox/node'
import { seededRandom } from '../../src/sandbox/random'
import { createSandboxServer } from '../../src/sandbox/server'
import { FrameReader } from '../../src/sandbox/wire'
import { makePair } from './support/initiator'
import { HEADER, type Lab, startLab, Wire } from './support/lab'

let lab: Lab
beforeAll(async () => {
  lab = await startLab()
})
afterAll(() => lab.stop())

describe('the stream', () => {
  // The lab's client checks signatures, issuers, dates and the leaf's key of the certificate chain each time.
  test('begins with a handshake under a valid certificate chain', async () => {
    const { wire, refs } = await lab.companion().register()
    expect(refs).toHaveLength(6)
    wire.close()
  })

  test('does not convince a client that trusts another root', async () => {
    const wire = new Wire({
      ...lab.server,
      url: lab.server.url,
      rootPublicKey: makePair().public.toString('hex'),
    })
    const companion = lab.companion()
    await expect(wire.handshake(companion.registration(), companion.noise)).rejects.toThrow(
      'not signed by the root',
    )
    wire.close()
  })

  test('may come byte by byte', async () => {
    const { wire, refs } = await lab.companion().register({ piece: 1 })
    expect(refs).toHaveLength(6)
    wire.close()
  })

  test('may start with routing information, which is no part of the prologue', async () => {
    const { wire, refs } = await lab.companion().register({ routing: Buffer.from('somewhere') })
    expect(refs).toHaveLength(6)
    wire.close()
  })

  test('may carry compressed stanzas', async () => {
    const { wire } = await lab.companion().register()
    const stanza = encodeBinaryNode(node('iq', { id: 'z', type: 'get', xmlns: 'w:p', to: SERVER }))
    wire.sendPlain(Buffer.concat([Buffer.from([2]), deflateSync(stanza.subarray(1))]))
    expect((await wire.take('iq', { id: 'z' })).attrs.type).toBe('result')
    wire.close()
  })

  test.each([
    ['another header', (wire: Wire) => wire.raw(Buffer.from('GET / HTTP/1.1\r\n'))],
    ['another dictionary', (wire: Wire) => wire.raw(Buffer.from([0x57, 0x41, 6, 2, 0, 0, 1, 0]))],
    ['a hello that is no message', (wire: Wire) => wire.frame(Buffer.alloc(40, 0xff), HEADER)],
    ['a hello without key', (wire: Wire) => wire.frame(Buffer.from([0x12, 0]), HEADER)],
  ])('ends at %s', async (_, say) => {
    const wire = new Wire(lab.server)
    await wire.opened()
    say(wire)
    await wire.closed
  })

  test.each([
    ['a frame that does not decrypt', (wire: Wire) => wire.frame(Buffer.alloc(60))],
    ['a frame shorter than its tag', (wire: Wire) => wire.frame(Buffer.alloc(4))],
    ['bytes that are no stanza', (wire: Wire) => wire.sendPlain(Buffer.from([0, 0xf8, 200, 1]))],
    ['an empty frame', (wire: Wire) => wire.sendPlain(Buffer.alloc(0))],
    [
      'a small frame that swells',
      (wire: Wire) => wire.sendPlain(Buffer.concat([Buffer.from([2]), deflateSync(Buffer.alloc(2 ** 25))])),
    ],
  ])('ends at %s', async (_, say) => {
    const { wire } = await lab.companion().register()
    say(wire)
    await wire.closed
    // The server itself is none the worse.
    const { wire: next } = await lab.companion().register()
    next.close()
  })
})

test('frames are cut out of chunks of any size, and the routing is kept', () => {
  const routing = Buffer.from('ED\0\x01\0\0\x04edge', 'latin1')
  const stream = Buffer.concat([routing, HEADER, Buffer.from('\0\0\x03abc\0\0\0\0\0\x02de', 'latin1')])
  for (const size of [1, 2, 5, stream.length]) {
    const reader = new FrameReader()
    const frames: string[] = []
    for (let at = 0; at < stream.length; at += size) {
      for (const frame of reader.push(stream.subarray(at, at + size))) frames.push(frame.toString())
    }
    expect(frames).toEqual(['abc', '', 'de'])
    expect(reader.routing?.toString()).toBe('edge')
  }
})

test('another path is not for clients, and plain HTTP is told to upgrade', async () => {
  const http = lab.server.url.replace('ws://', 'http://')
  expect((await fetch(http)).status).toBe(426)
  expect((await fetch(http.replace('/ws/chat', '/'))).status).toBe(404)
})

describe('several servers in one process', () => {
  test('share nothing', async () => {
    const other = await startLab()
    lab.phone('4915100000010')
    expect(other.server.directory.byPhoneNumber('4915100000010')).toBeUndefined()
    expect(other.server.rootPublicKey).not.toBe(lab.server.rootPublicKey)
    await other.stop()
  })

  test('are alike when their randomness is', () => {
    const keys = ['a', 'a', 'b'].map(
      (seed) => createSandboxServer({ random: seededRandom(seed) }).rootPublicKey,
    )
    expect(keys[0]).toBe(keys[1] ?? '')
    expect(keys[0]).not.toBe(keys[2] ?? '')
  })

  test('keep a given root key', () => {
    const rootKey = Buffer.alloc(32, 9)
    const [one, two] = [createSandboxServer({ rootKey }), createSandboxServer({ rootKey })]
    expect(one.rootPublicKey).toBe(two.rootPublicKey)
  })

  test('end their connections when they stop', async () => {
    const other = await startLab()
    const { wire } = await other.companion().register()
    await other.stop()
    await wire.closed
    expect(() => other.server.url).toThrow()
  })
})
