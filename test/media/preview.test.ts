import { afterEach, expect, test } from 'bun:test'
import { imageSize } from '../../src/media/image-size'
import { png } from './pictures'
import { type MediaRig, mediaRig, OWNER } from './rig'

const SESSION = OWNER.sessionId

let rig: MediaRig
afterEach(() => rig.clear())

const page =
  (html: string, headers: Record<string, string> = { 'content-type': 'text/html; charset=utf-8' }) =>
  () =>
    new Response(html, { headers })

test('title, description and picture of a page', async () => {
  rig = await mediaRig({
    files: {
      '/news': page(
        `<html><head><title>Plain title</title><meta property="og:title" content="Caf&eacute; &amp; more &#x1F44B;">
         <meta name="description" content="Plain"><meta property="og:description" content="  Two\n lines\u202e ">
         <meta property="og:image" content="/picture.png"></head><body>`,
      ),
      '/picture.png': () => new Response(Uint8Array.from(png(400, 200))),
    },
  })
  const preview = await rig.desk.preview(SESSION, rig.url('/news'))
  expect(preview).toMatchObject({
    url: rig.url('/news'),
    title: 'Caf&eacute; & more 👋',
    description: 'Two lines',
  })
  expect(imageSize(preview?.thumbnail ?? Buffer.alloc(0), 'image/jpeg')).toMatchObject({
    width: 100,
    height: 50,
  })
})

test('a bare title is enough; a broken picture is left away', async () => {
  rig = await mediaRig({
    files: {
      '/bare': page('<title>Only &quot;this&quot;</title>'),
      '/broken': page('<title>x</title><meta property=og:image content=/none.png>'),
      '/fake': page('<title>x</title><meta property=og:image content=/page.png>'),
      '/page.png': page('<html>'),
      '/latin': page(Buffer.from('<title>Gr\xfc\xdfe</title>', 'latin1') as unknown as string, {
        'content-type': 'text/html; charset=iso-8859-1',
      }),
    },
  })
  const of = (path: string) => rig.desk.preview(SESSION, rig.url(path))
  expect(await of('/bare')).toEqual({ url: rig.url('/bare'), title: 'Only "this"', thumbnail: null })
  expect(await of('/broken')).toMatchObject({ title: 'x', thumbnail: null })
  expect(await of('/fake')).toMatchObject({ title: 'x', thumbnail: null })
  expect(await of('/latin')).toMatchObject({ title: 'Grüße' })
})

test('what is no page, has no title, or cannot be had gives nothing, and never throws', async () => {
  rig = await mediaRig({
    files: {
      '/text': page('<title>x</title>', { 'content-type': 'text/plain' }),
      '/empty': page('<html><head></head>'),
      '/error': () =>
        new Response('<title>x</title>', { status: 500, headers: { 'content-type': 'text/html' } }),
    },
  })
  for (const url of [
    rig.url('/text'),
    rig.url('/empty'),
    rig.url('/error'),
    rig.url('/none'),
    'http://127.0.0.1:1/',
    'ftp://x',
    'no address',
  ])
    expect([url, await rig.desk.preview(SESSION, url)]).toEqual([url, null])
  await rig.clear()
  rig = await mediaRig({
    policy: { allowInsecure: false, allowNetworks: [], allowPlain: true },
    files: { '/': page('<title>secret</title>') },
  })
  expect(await rig.desk.preview(SESSION, rig.url('/'))).toBeNull()
  expect(rig.asked).toEqual([])
})

test('of a page without end only its beginning is read; long titles are cut', async () => {
  let sent = 0
  const { promise: hungUp, resolve: hangUp } = Promise.withResolvers<void>()
  const endless = () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          controller.enqueue(
            Buffer.from(sent === 0 ? `<title>${'x'.repeat(5000)}</title>` : '<p>'.padEnd(65_536, 'y')),
          )
          sent += 1
          await Bun.sleep(0)
        },
        cancel: () => hangUp(),
      }),
      { headers: { 'content-type': 'text/html' } },
    )
  rig = await mediaRig({ files: { '/endless': endless } })
  expect(await rig.desk.preview(SESSION, rig.url('/endless'))).toMatchObject({ title: 'x'.repeat(300) })
  await hungUp
})
