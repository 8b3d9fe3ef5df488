import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { DEFAULT_ORIGIN, downloadContentFromMessage } from '@whiskeysockets/baileys'
import {
  ForbiddenMediaHost,
  guardFetch,
  guardMediaFetch,
  type PlainFetch,
} from '../../src/whatsapp/baileys/media-fetch'
import { type Endpoint, WHATSAPP_ENDPOINT } from '../../src/whatsapp/baileys/trust'

const SANDBOX: Endpoint = {
  url: 'ws://127.0.0.1:9/ws/chat',
  rootKey: randomBytes(32),
  mediaHosts: ['127.0.0.1:4433', 'media.example:1'],
  mediaCa: 'PEM',
}
const NO_MEDIA: Endpoint = { ...SANDBOX, mediaHosts: [] }

/** A guard around a `fetch` that only notes what it was asked. */
function guard(endpoint: Endpoint) {
  const asked: { url: string; init: unknown }[] = []
  const inner: PlainFetch = async (input, init) => {
    asked.push({ url: input instanceof Request ? input.url : input.toString(), init })
    return new Response('ok')
  }
  return { asked, fetch: guardFetch(inner, endpoint) }
}
const asBaileys = { headers: { Origin: DEFAULT_ORIGIN } }

describe('media requests', () => {
  test('to WhatsApp’s media domain go there when we talk to WhatsApp', async () => {
    const { asked, fetch } = guard(WHATSAPP_ENDPOINT)
    await fetch('https://mmg.whatsapp.net/v/t62/abc?x=1', asBaileys)
    await fetch(new URL('https://media-fra3-1.cdn.whatsapp.net/o1/x'))
    expect(asked.map(({ url }) => url)).toEqual([
      'https://mmg.whatsapp.net/v/t62/abc?x=1',
      'https://media-fra3-1.cdn.whatsapp.net/o1/x',
    ])
  })

  test('are turned to the first configured host with another endpoint, with its authority', async () => {
    const { asked, fetch } = guard(SANDBOX)
    await fetch('https://mmg.whatsapp.net/mms/image/abc?x=1', asBaileys)
    await fetch('https://media.example:1/y', asBaileys)
    await fetch(new Request('https://mmg.whatsapp.net/z', asBaileys))
    expect(asked.map(({ url }) => url)).toEqual([
      'https://127.0.0.1:4433/mms/image/abc?x=1',
      'https://media.example:1/y',
      'https://127.0.0.1:4433/z',
    ])
    expect(asked[0]?.init).toEqual(expect.objectContaining({ tls: { ca: 'PEM' }, redirect: 'error' }))
  })

  test('never leak to WhatsApp when no media host is configured', async () => {
    const { asked, fetch } = guard(NO_MEDIA)
    expect(fetch('https://mmg.whatsapp.net/x', asBaileys)).rejects.toBeInstanceOf(ForbiddenMediaHost)
    expect(asked).toEqual([])
  })

  test.each([
    'https://169.254.169.254/latest/meta-data/',
    'http://10.0.0.1:8080/admin',
    'http://mmg.whatsapp.net/plain-http',
    'https://whatsapp.net.example.org/x',
    'https://localhost/x',
  ])('by Baileys to %s are refused', async (url) => {
    const { asked, fetch } = guard(WHATSAPP_ENDPOINT)
    expect(fetch(url, asBaileys)).rejects.toBeInstanceOf(ForbiddenMediaHost)
    expect(asked).toEqual([])
  })

  test('of anybody else pass untouched', async () => {
    const { asked, fetch } = guard(SANDBOX)
    await fetch('http://10.0.0.1:8080/webhook', { method: 'POST' })
    expect(asked).toEqual([{ url: 'http://10.0.0.1:8080/webhook', init: { method: 'POST' } }])
  })

  /** A message whose sender chose the host that we should fetch from. */
  const crafted = (port: number) =>
    downloadContentFromMessage(
      { mediaKey: randomBytes(32), url: `http://127.0.0.1:${port}/admin`, directPath: null },
      'image',
    )

  test('upstream: the host of a message’s own url is fetched', async () => {
    let hits = 0
    const inside = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response(String(++hits)) })
    const stream = await crafted(inside.port ?? 0)
    stream.on('error', () => undefined).destroy()
    expect(hits).toBe(1)

    const unguard = guardMediaFetch(WHATSAPP_ENDPOINT)
    expect(crafted(inside.port ?? 0)).rejects.toBeInstanceOf(ForbiddenMediaHost)
    unguard()
    expect(hits).toBe(1)
    await inside.stop(true)
  })
})
