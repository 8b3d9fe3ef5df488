/** Cards of links, fetched from pages good and bad, and words with places to be filled. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { jpeg } from '../media/pictures'
import { type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111601'
const ADA = '4915122222601'

const picture = await jpeg(600, 300)
const head = (inside: string) =>
  new Response(`<!doctype html><html><head>${inside}</head><body>words</body></html>`, {
    headers: { 'content-type': 'text/html; charset=utf-8' },
  })
const titled = (more = '') => head(`<meta property="og:title" content="A page &amp; more">${more}`)

async function* forEver() {
  for (;;) {
    yield Buffer.alloc(65_536, 'x')
    await Bun.sleep(1)
  }
}
const released = Promise.withResolvers<void>()
async function* silent() {
  yield Buffer.from('<html><head>')
  await released.promise
}
const html = { headers: { 'content-type': 'text/html' } }

const PAGES: Record<string, (request: Request) => Response> = {
  '/good': (request) =>
    titled(
      `<meta property="og:description" content="What it is about"><meta property="og:image" content="${new URL('/picture', request.url)}">`,
    ),
  '/picture': () => new Response(new Uint8Array(picture), { headers: { 'content-type': 'image/jpeg' } }),
  '/plain': () => head('<title>Only a title</title>'),
  '/moved': () => Response.redirect('/plain', 302),
  '/bad-picture': () => titled('<meta property="og:image" content="/missing">'),
  '/private-picture': () => titled('<meta property="og:image" content="http://10.0.0.1/x.jpg">'),
  '/missing': () => new Response('no', { status: 404 }),
  '/broken': () => new Response('no', { status: 500 }),
  '/untitled': () => head(''),
  '/file': () => new Response('%PDF-1.7', { headers: { 'content-type': 'application/pdf' } }),
  '/endless': () => new Response(forEver(), html),
  '/inside': () => Response.redirect('http://169.254.169.254/latest/meta-data', 302),
  '/circle': () => Response.redirect('/circle', 302),
  '/silent': () => new Response(silent(), html),
}

let talk: Talk
let host: Bun.Server<undefined>
beforeAll(async () => {
  host = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => PAGES[new URL(request.url).pathname]?.(request) ?? new Response('', { status: 404 }),
  })
  talk = await startTalk(OURS, { [ADA]: 'Ada' })
})
afterAll(async () => {
  released.resolve()
  await talk?.stop()
  await host?.stop(true)
})

const at = (path: string) => new URL(path, host.url).href
const sendLink = async (path: string, more: Fields = {}) => {
  const text = `Look: ${at(path)}.`
  const { messageId } = await talk.send('text', ADA, { text, linkPreview: true, ...more })
  const { content } = await talk.shownAt(ADA, messageId)
  expect(content.text).toBe(text)
  return { view: await talk.viewOf(messageId), content }
}

describe('the card of a link', () => {
  const CARDS: [string, Fields][] = [
    ['/good', { title: 'A page & more', description: 'What it is about' }],
    ['/plain', { title: 'Only a title' }],
    ['/moved', { title: 'Only a title' }],
    ['/bad-picture', { title: 'A page & more' }],
    ['/private-picture', { title: 'A page & more' }],
  ]
  test.each(CARDS)('of %s', async (path, card) => {
    const { view, content } = await sendLink(path)
    expect(view.linkPreview).toEqual({ url: at(path), ...card })
    expect(content.linkPreview).toMatchObject({ url: at(path), ...card })
  })

  test('has the picture of its page', async () => {
    const client = await talk.link(ADA)
    const { messageId } = await talk.send('text', ADA, { text: at('/good'), linkPreview: true })
    const { message } = await client.untilMessage(({ key }) => key.id === messageId)
    expect([...(message?.extendedTextMessage?.jpegThumbnail?.subarray(0, 2) ?? [])]).toEqual([0xff, 0xd8])
  })

  test.each(['/missing', '/broken', '/untitled', '/file', '/endless', '/inside', '/circle'])(
    'of %s: there is none, and the message goes',
    async (path) => {
      const { view, content } = await sendLink(path)
      expect(view).not.toHaveProperty('linkPreview')
      expect(content).not.toHaveProperty('linkPreview')
    },
  )

  test('of a page that falls silent: there is none, and the message goes', async () => {
    const { view } = await sendLink('/silent')
    expect(view).not.toHaveProperty('linkPreview')
  }, 30_000)

  test('of places that nobody may reach, and of a host that is not there', async () => {
    for (const url of ['http://10.0.0.1/', 'http://[::1]:1/', 'http://127.0.0.1:9/', 'http://no.invalid/x']) {
      const { messageId } = await talk.send('text', ADA, { text: url, linkPreview: true })
      expect((await talk.shownAt(ADA, messageId)).content.text).toBe(url)
      expect(await talk.viewOf(messageId)).not.toHaveProperty('linkPreview')
    }
  })

  test('is made only when asked for, and only of a link', async () => {
    for (const fields of [
      { text: at('/good') },
      { text: at('/good'), linkPreview: false },
      { text: 'no link', linkPreview: true },
    ]) {
      const { messageId } = await talk.send('text', ADA, fields)
      expect(await talk.viewOf(messageId)).not.toHaveProperty('linkPreview')
    }
  })

  test('that is given is taken as it is', async () => {
    const linkPreview = { url: 'https://example.com/', title: 'Mine', description: 'as I want it' }
    const { messageId } = await talk.send('text', ADA, { text: 'https://example.com/', linkPreview })
    expect((await talk.shownAt(ADA, messageId)).content.linkPreview).toMatchObject(linkPreview)
  })
})

describe('places in words', () => {
  const variables = { name: 'Ada', count: 3, 'a.b-c': '{{name}}', empty: '' }

  test('of a text are filled once, and what stands between braces otherwise stays', async () => {
    const text = 'Dear {{name}}, {{ count }} × {{a.b-c}}{{empty}} { } {{}} {{not a name}}'
    const { messageId } = await talk.send('text', ADA, { text, variables })
    const filled = 'Dear Ada, 3 × {{name}} { } {{}} {{not a name}}'
    expect((await talk.shownAt(ADA, messageId)).content.text).toBe(filled)
    expect((await talk.viewOf(messageId)).text).toBe(filled)
  })

  test('stay without variables', async () => {
    const { messageId } = await talk.send('text', ADA, { text: 'Dear {{name}}' })
    expect((await talk.shownAt(ADA, messageId)).content.text).toBe('Dear {{name}}')
  })

  test('of captions, of new words and of pictures in an album', async () => {
    const imageBase64 = picture.toString('base64')
    const image = await talk.send('image', ADA, { imageBase64, caption: 'For {{name}}', variables })
    expect((await talk.shownAt(ADA, image.messageId)).content.caption).toBe('For Ada')
    await talk.send('edit', null, {
      targetMessageId: image.messageId,
      text: 'Again for {{name}}',
      variables,
    })
    await talk.shownAt(ADA, image.messageId, ({ content }) => content.caption === 'Again for Ada')
    const album = await talk.send('album', ADA, {
      items: [
        { type: 'image', imageBase64, caption: '{{name}} 1' },
        { type: 'image', imageBase64, caption: '{{name}} 2' },
      ],
      variables,
    })
    const shown = await Promise.all((album.items ?? []).map(({ messageId }) => talk.shownAt(ADA, messageId)))
    expect(shown.map(({ content }) => content.caption)).toEqual(['Ada 1', 'Ada 2'])
  })

  test.each([
    ['text', { text: 'Dear {{nmae}}, {{cuont}} and {{name}}' }],
    ['image', { imageBase64: picture.toString('base64'), caption: '{{nmae}} {{cuont}}' }],
  ])('of a %s without a value are named, and nothing is sent', async (type, fields) => {
    const before = await sentTo(ADA)
    const { status, body } = await talk.trySend(type, ADA, { ...fields, variables })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'VALIDATION_ERROR' })
    const { fields: problems } = body.details as { fields: { path: string }[] }
    expect(problems.map(({ path }) => path)).toEqual(['/variables/nmae', '/variables/cuont'])
    expect(await sentTo(ADA)).toBe(before)
  })

  test('of a text that is empty or too long once filled', async () => {
    for (const variables of [{ x: '' }, { x: 'y'.repeat(65_536) }]) {
      const { status, body } = await talk.trySend('text', ADA, { text: '{{x}}{{x}}', variables })
      expect({ status, code: body.code }).toEqual({ status: 400, code: 'VALIDATION_ERROR' })
    }
  })

  test('of a bulk: each entry its own values over those of all', async () => {
    const answer = await talk.app.ok<{ results: { messageId?: string; code?: string }[] }>(
      'POST',
      '/api/messages/send/bulk',
      {
        body: {
          sessionId: talk.session,
          variables: { greeting: 'Hello', name: 'all' },
          messages: [
            { to: ADA, text: '{{greeting}} {{name}}', variables: { name: 'Ada' } },
            { to: ADA, text: '{{greeting}} {{name}}' },
            { to: ADA, text: '{{greeting}} {{nobody}}' },
          ],
        },
      },
    )
    const [first, second, third] = answer.results
    expect((await talk.shownAt(ADA, first?.messageId ?? '')).content.text).toBe('Hello Ada')
    expect((await talk.shownAt(ADA, second?.messageId ?? '')).content.text).toBe('Hello all')
    expect(third?.code).toBe('VALIDATION_ERROR')
  })
})

const sentTo = async (number: string): Promise<number> =>
  (await talk.app.ok<{ total: number }>('GET', `/sandbox/phones/${number}/messages?limit=1`)).total
