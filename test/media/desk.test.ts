import { afterEach, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { FileAsk } from '../../src/domain/content-media'
import { asTenantId } from '../../src/domain/ids'
import { asFileId } from '../../src/domain/media'
import { imageSize } from '../../src/media/image-size'
import { sniff } from '../../src/media/sniff'
import { film } from './films'
import { gif, hugePng, jpeg, movingWebp, png, webp } from './pictures'
import { type MediaRig, mediaRig, OWNER, refusal } from './rig'
import { collect, inPieces, loudThenSilent, mp3, opus, tone, wav } from './sounds'

let rig: MediaRig
afterEach(() => rig.clear())

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
const ask = (type: FileAsk['type'], file: Uint8Array, more: object = {}): FileAsk =>
  ({ type, [`${type}Base64`]: base64(file), ...more }) as unknown as FileAsk
const stage = (type: FileAsk['type'], file: Uint8Array, more: object = {}) =>
  rig.desk.stage(OWNER, ask(type, file, more))
const keptBytes = (id: string): Promise<Buffer> => collect(rig.storage.media.read(asFileId(id)))

describe('what becomes of a file', () => {
  test('a picture goes as it is, with its size and a small picture', async () => {
    rig = await mediaRig()
    for (const [file, mimetype] of [
      [await jpeg(640, 480), 'image/jpeg'],
      [png(640, 480), 'image/png'],
      [await webp(640, 480), 'image/webp'],
    ] as const) {
      const staged = await stage('image', file, { mimetype: 'image/gif' })
      expect(staged.media).toEqual({ mimetype, size: file.length, width: 640, height: 480 })
      expect(imageSize(staged.thumbnail ?? Buffer.alloc(0), 'image/jpeg')).toMatchObject({
        width: 100,
        height: 75,
      })
      expect((await keptBytes(staged.fileId)).equals(file)).toBe(true)
      const kept = rig.storage.media.get(staged.fileId)
      expect(kept).toMatchObject({ ...OWNER, messageId: null, mimetype })
      expect(kept?.expiresAt).toBeGreaterThan(rig.clock.now())
    }
  })

  test('a film is described by its boxes and goes as it is', async () => {
    rig = await mediaRig()
    const staged = await stage('video', film({ turned: true }))
    expect(staged).toMatchObject({
      media: { mimetype: 'video/mp4', seconds: 7, width: 360, height: 640 },
      thumbnail: null,
      animated: false,
    })
    const moving = await stage('video', film({ brand: 'qt  ', data: 300_000 }))
    expect(moving.media).toMatchObject({ mimetype: 'video/quicktime', seconds: 7 })
  })

  test('a film’s first picture is fetched when it has an address', async () => {
    rig = await mediaRig({ files: { '/poster.png': () => new Response(Uint8Array.from(png(300, 300))) } })
    const staged = await stage('video', film(), { thumbnailUrl: rig.url('/poster.png') })
    expect(imageSize(staged.thumbnail ?? Buffer.alloc(0), 'image/jpeg')).toMatchObject({
      width: 100,
      height: 100,
    })
    const error = await refusal(stage('video', film(), { thumbnailUrl: rig.url('/none.png') }))
    expect(error.code).toBe('MEDIA_DOWNLOAD_FAILED')
  })

  test('an MP3 becomes a voice note; without ptt it stays an MP3', async () => {
    rig = await mediaRig()
    const sound = tone(44_100, 3, loudThenSilent)
    const file = await mp3([sound, sound], 44_100)
    const note = await stage('audio', file, { ptt: true, mimetype: 'audio/mpeg' })
    const kept = await keptBytes(note.fileId)
    expect(sniff(kept).mimetype).toBe('audio/ogg; codecs=opus')
    expect(note.media).toEqual({
      mimetype: 'audio/ogg; codecs=opus',
      size: kept.length,
      seconds: 3,
      waveform: expect.any(Array),
    })
    const { waveform = [] } = note.media
    expect(waveform).toHaveLength(64)
    expect(Math.min(...waveform.slice(2, 30))).toBeGreaterThan(70)
    expect(Math.max(...waveform.slice(35))).toBeLessThan(5)

    const plain = await stage('audio', file)
    expect(plain.media).toEqual({ mimetype: 'audio/mpeg', size: file.length, seconds: 3 })
    expect((await keptBytes(plain.fileId)).equals(file)).toBe(true)
  })

  test('a voice note goes untouched; sound in a film’s container is sound', async () => {
    rig = await mediaRig()
    const file = await opus([tone(48_000, 2)])
    const staged = await stage('audio', file, { ptt: true })
    expect((await keptBytes(staged.fileId)).equals(file)).toBe(true)
    expect(staged.media).toMatchObject({ seconds: 2, mimetype: 'audio/ogg; codecs=opus' })
    expect((await stage('audio', film({ video: false }))).media).toMatchObject({
      mimetype: 'audio/mp4',
      seconds: 7,
    })
    expect(await refusal(stage('audio', film()))).toMatchObject({ code: 'UNSUPPORTED_MEDIA_TYPE' })
  })

  test('any still picture becomes a sticker; what is one passes', async () => {
    rig = await mediaRig()
    for (const file of [await jpeg(300, 200), png(10, 500), await webp(512, 200), gif(40, 40, 1)]) {
      const staged = await stage('sticker', file)
      const kept = await keptBytes(staged.fileId)
      expect(imageSize(kept, 'image/webp')).toEqual({ width: 512, height: 512, frames: 1 })
      expect(staged.media).toEqual({ mimetype: 'image/webp', size: kept.length, width: 512, height: 512 })
    }
    for (const file of [await webp(512, 512), movingWebp(await webp(512, 512), 512, 512)]) {
      const staged = await stage('sticker', file)
      expect((await keptBytes(staged.fileId)).equals(file)).toBe(true)
      expect(staged.animated).toBe(file.includes('ANMF'))
    }
  })

  test('a document is anything; its name is made safe, its type is what it is', async () => {
    rig = await mediaRig()
    const table: [Buffer, object, object][] = [
      [
        Buffer.from('%PDF-1.7 x'),
        { filename: '../../x\r\n.pdf' },
        { mimetype: 'application/pdf', filename: 'x.pdf' },
      ],
      [Buffer.from('<html><script>'), { mimetype: 'image/png' }, { mimetype: 'text/html', filename: 'file' }],
      [Buffer.from('a;b'), { mimetype: 'text/csv' }, { mimetype: 'text/csv', filename: 'file.csv' }],
      [
        Buffer.from([0, 1, 2]),
        { mimetype: 'text/html' },
        { mimetype: 'application/octet-stream', filename: 'file' },
      ],
      [Buffer.from('MZ'.padEnd(80, '\0')), { filename: 'a.exe' }, { filename: 'a.exe' }],
    ]
    for (const [file, more, media] of table) {
      const staged = await stage('document', file, more)
      expect(staged.media).toMatchObject({ ...media, size: file.length })
      expect((await keptBytes(staged.fileId)).equals(file)).toBe(true)
    }
    const picture = await stage('document', await jpeg(300, 300), { filename: 'x.jpg' })
    expect(picture.thumbnail?.length).toBeGreaterThan(100)
    // A picture that cannot be shown small is still a document.
    expect((await stage('document', hugePng(100_000, 100_000))).thumbnail).toBeNull()
    expect((await stage('document', png(50, 50).subarray(0, 60))).thumbnail).toBeNull()
  })
})

describe('refused, and nothing remains', () => {
  const table: [string, FileAsk['type'], () => Buffer | Promise<Buffer>, object, string, object?][] = [
    [
      'HTML called a picture',
      'image',
      () => Buffer.from('<html>'),
      { mimetype: 'image/jpeg' },
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['SVG', 'image', () => Buffer.from('<svg xmlns="x">'), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'HEIC',
      'image',
      () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1', 'latin1'),
      {},
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'a picture with an archive behind it',
      'image',
      async () => Buffer.concat([await jpeg(9, 9), Buffer.from(`PK\x05\x06${'\0'.repeat(18)}`, 'latin1')]),
      {},
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['a picture cut off', 'image', () => png(100, 100).subarray(0, 70), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a picture of ten billion pixels',
      'image',
      () => hugePng(100_000, 100_000),
      {},
      'FILE_TOO_LARGE',
      { maxPixels: 50_000_000 },
    ],
    ['a moving GIF as a picture', 'image', () => gif(9, 9, 2), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a moving GIF as a sticker', 'sticker', () => gif(9, 9, 2), {}, 'MEDIA_CONVERSION_UNAVAILABLE'],
    ['ten billion pixels as a sticker', 'sticker', () => hugePng(100_000, 100_000), {}, 'FILE_TOO_LARGE'],
    ['a text as a sticker', 'sticker', () => Buffer.from('hello'), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a GIF to be looped, without ffmpeg',
      'video',
      () => gif(9, 9, 2),
      { gifPlayback: true },
      'MEDIA_CONVERSION_UNAVAILABLE',
      { accepted: ['video/mp4'] },
    ],
    ['a GIF as a film', 'video', () => gif(9, 9, 2), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a film without its index', 'video', () => film().subarray(0, 900), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    ['a film of sound alone', 'video', () => film({ video: false }), {}, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'WebM',
      'video',
      () => Buffer.from('\x1aE\xdf\xa3\x9fB\x82\x84webm', 'latin1'),
      {},
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'M4A as a voice note, without ffmpeg',
      'audio',
      () => film({ brand: 'M4A ', video: false }),
      { ptt: true },
      'MEDIA_CONVERSION_UNAVAILABLE',
      { accepted: ['audio/mpeg', 'audio/wav', 'audio/ogg'] },
    ],
    [
      'FLAC as a voice note, without ffmpeg',
      'audio',
      () => Buffer.from('fLaC'.padEnd(80, '\0')),
      { ptt: true },
      'MEDIA_CONVERSION_UNAVAILABLE',
    ],
    ['HTML as a voice note', 'audio', () => Buffer.from('<html>'), { ptt: true }, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a page inside an MP3',
      'audio',
      () => Buffer.from('ID3\x04\0\0\0\0\x01\0<script>x</script>'.padEnd(400, '\0')),
      {},
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'a damaged voice note',
      'audio',
      async () => (await opus([tone(48_000, 1)])).fill(7, 3000, 3010),
      { ptt: true },
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'a voice note that is cut off',
      'audio',
      async () => (await opus([tone(48_000, 1)])).subarray(0, 5000),
      { ptt: true },
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    [
      'an empty file',
      'document',
      () => Buffer.alloc(0),
      { documentBase64: 'data:;base64,' },
      'VALIDATION_ERROR',
    ],
  ]
  test.each(table)('%s', async (_, type, file, more, code, details = {}) => {
    rig = await mediaRig()
    const error = await refusal(stage(type, await file(), more))
    expect(error).toMatchObject({ code, details: expect.objectContaining(details) })
    expect(rig.left()).toEqual([])
  })

  test('base64 that is none; an ask without a file', async () => {
    rig = await mediaRig()
    for (const imageBase64 of ['a', 'aGk==', 'aG k', 'data:image/png,x', `${base64(png(5, 5))}\n`])
      expect(await refusal(rig.desk.stage(OWNER, { type: 'image', imageBase64 }))).toMatchObject({
        code: 'VALIDATION_ERROR',
        details: { fields: [{ path: 'imageBase64' }] },
      })
    expect((await refusal(rig.desk.stage(OWNER, { type: 'image' }))).code).toBe('VALIDATION_ERROR')
  })

  test('what is larger than its type may be, wherever it comes from', async () => {
    const caps = {
      image: 1000,
      video: 2000,
      audio: 1000,
      voiceSource: 1000,
      stickerSource: 1000,
      document: 1000,
      upload: 5000,
    }
    rig = await mediaRig({ caps, files: { '/large': () => new Response(new Uint8Array(3000)) } })
    const upload = await rig.desk.upload(OWNER.tenantId, inPieces(randomBytes(3000)), null)
    const before = rig.left()
    for (const type of ['image', 'video', 'audio', 'document', 'sticker'] as const)
      for (const origin of [
        { [`${type}Base64`]: base64(randomBytes(3000)) },
        { [`${type}Url`]: rig.url('/large') },
        { uploadId: upload.id },
      ]) {
        const error = await refusal(rig.desk.stage(OWNER, { type, ...origin } as unknown as FileAsk))
        expect([type, error.code, error.details?.maxBytes]).toEqual([
          type,
          'FILE_TOO_LARGE',
          type === 'video' ? 2000 : 1000,
        ])
      }
    expect(rig.left()).toEqual(before)
  })

  test('a sound that is too long, or too large once it is a voice note', async () => {
    rig = await mediaRig({ caps: { voiceSeconds: 2, audio: 16_000_000 } })
    const error = await refusal(stage('audio', wav([tone(8000, 3)], 8000), { ptt: true }))
    expect(error).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      details: { reason: expect.stringContaining('2 seconds') },
    })
    await rig.clear()
    rig = await mediaRig({ caps: { audio: 5000 } })
    expect((await refusal(stage('audio', wav([tone(8000, 3)], 8000), { ptt: true }))).code).toBe(
      'FILE_TOO_LARGE',
    )
    expect(rig.left()).toEqual([])
  })
})

describe('by URL', () => {
  test('the file streams in; its name comes from the answer or the path', async () => {
    const file = randomBytes(300_000)
    const respond = (headers: Record<string, string>) => () =>
      new Response(Uint8Array.from(file), { headers })
    rig = await mediaRig({
      files: {
        '/a/report%20one.pdf': respond({ 'content-type': 'text/csv' }),
        '/get': respond({
          'content-disposition': `attachment; filename="x.bin"; filename*=UTF-8''gr%C3%BC%C3%9Fe.bin`,
        }),
        '/other': respond({ 'content-disposition': 'attachment; filename="../../y.bin"' }),
        '/bare': respond({ 'content-type': 'application/vnd.acme' }),
      },
    })
    for (const [path, media] of [
      ['/a/report%20one.pdf', { filename: 'report one.pdf', mimetype: 'application/octet-stream' }],
      ['/get', { filename: 'grüße.bin' }],
      ['/other', { filename: 'y.bin' }],
      ['/bare', { filename: 'file', mimetype: 'application/vnd.acme' }],
    ] as const) {
      const staged = await rig.desk.stage(OWNER, { type: 'document', documentUrl: rig.url(path) })
      expect(staged.media).toMatchObject({ ...media, size: file.length })
      expect((await keptBytes(staged.fileId)).equals(file)).toBe(true)
    }
  })

  test('whatever goes wrong at the other side has a reason, and nothing remains', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n')
        socket.end(Buffer.alloc(100_000))
      })
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const broken = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    rig = await mediaRig({ files: { '/error': () => new Response('', { status: 503 }) } })
    const of = (path: string) => refusal(rig.desk.stage(OWNER, { type: 'document', documentUrl: path }))
    expect(await of(rig.url('/missing'))).toMatchObject({
      code: 'MEDIA_DOWNLOAD_FAILED',
      details: { status: 404, reason: expect.any(String) },
    })
    expect(await of(rig.url('/error'))).toMatchObject({
      code: 'MEDIA_DOWNLOAD_FAILED',
      details: { status: 503 },
    })
    expect((await of(broken)).code).toBe('MEDIA_DOWNLOAD_FAILED')
    server.close()
    expect(rig.left()).toEqual([])
  })

  test('private addresses are forbidden, and nobody is asked', async () => {
    rig = await mediaRig({ policy: { allowInsecure: false, allowNetworks: [], allowPlain: true } })
    const error = await refusal(rig.desk.stage(OWNER, { type: 'image', imageUrl: rig.url('/x') }))
    expect(error.code).toBe('MEDIA_URL_FORBIDDEN')
    expect(JSON.stringify(error.toBody())).not.toContain('127.0.0.1')
    expect(rig.asked).toEqual([])
  })

  test('a caller who gives up ends the download', async () => {
    const { promise: started, resolve } = Promise.withResolvers<void>()
    const endless = () => {
      resolve()
      return new Response(
        new ReadableStream({
          async pull(controller) {
            controller.enqueue(new Uint8Array(1000))
            await Bun.sleep(5)
          },
        }),
      )
    }
    rig = await mediaRig({ files: { '/endless': endless } })
    const giveUp = new AbortController()
    const staging = refusal(
      rig.desk.stage(OWNER, { type: 'document', documentUrl: rig.url('/endless') }, giveUp.signal),
    )
    await started
    giveUp.abort()
    expect((await staging).code).toBe('MEDIA_DOWNLOAD_FAILED')
    expect(rig.left()).toEqual([])
  })
})

describe('uploads', () => {
  test('are kept once and used often, without a copy and without a network', async () => {
    let behind: string | null = null
    rig = await mediaRig({
      uploadBehind: (url) =>
        url === 'https://wabun.example/uploads/secret' && behind ? asFileId(behind) : null,
    })
    const file = await jpeg(400, 300)
    const upload = await rig.desk.upload(OWNER.tenantId, inPieces(file), '../photo.jpg')
    behind = upload.id
    expect(upload).toMatchObject({
      sessionId: null,
      messageId: null,
      filename: 'photo.jpg',
      mimetype: 'image/jpeg',
      size: file.length,
      sha256: new Uint8Array(createHash('sha256').update(file).digest()),
      expiresAt: expect.any(Number),
    })
    const before = rig.left()
    for (let round = 0; round < 3; round += 1) {
      const staged = await rig.desk.stage(OWNER, { type: 'image', uploadId: upload.id })
      expect(staged).toMatchObject({ fileId: upload.id, media: { width: 400, height: 300 } })
      // Letting go of a message does not take the upload away.
      await rig.desk.discard(staged)
    }
    const byUrl = await rig.desk.stage(OWNER, {
      type: 'document',
      documentUrl: 'https://wabun.example/uploads/secret',
    })
    expect(byUrl).toMatchObject({
      fileId: upload.id,
      media: { filename: 'photo.jpg', mimetype: 'image/jpeg' },
    })
    expect(await rig.desk.examine(OWNER, { type: 'image', uploadId: upload.id })).toMatchObject({
      width: 400,
    })
    expect(rig.left()).toEqual(before)
    expect(rig.asked).toEqual([])
  })

  test('are looked at once, however many messages they go with', async () => {
    rig = await mediaRig()
    const upload = await rig.desk.upload(OWNER.tenantId, inPieces(await jpeg(400, 300)), 'photo.jpg')
    const send = (more: object = {}) => rig.desk.stage(OWNER, { type: 'image', uploadId: upload.id, ...more })
    const first = await send()
    expect(await send({ caption: 'another' })).toBe(first)
    // As another type it is looked at anew, and what is gone is gone.
    const document = (filename: string) =>
      rig.desk.stage(OWNER, { type: 'document', uploadId: upload.id, filename })
    expect((await document('a.jpg')).media.filename).toBe('a.jpg')
    expect((await document('b.jpg')).media.filename).toBe('b.jpg')
    await rig.storage.media.remove([upload.id])
    expect((await refusal(send())).code).toBe('UPLOAD_NOT_FOUND')
  })

  test('that must be converted become a file of their own', async () => {
    rig = await mediaRig()
    const upload = await rig.desk.upload(OWNER.tenantId, inPieces(wav([tone(8000, 2)], 8000)), 'a.wav')
    const staged = await rig.desk.stage(OWNER, { type: 'audio', ptt: true, uploadId: upload.id })
    expect(staged.fileId).not.toBe(upload.id)
    await rig.desk.discard(staged)
    expect(rig.storage.media.get(staged.fileId)).toBeNull()
    expect(rig.storage.media.get(upload.id)).not.toBeNull()
    const voice = await rig.desk.upload(OWNER.tenantId, inPieces(await opus([tone(48_000, 2)])), 'v.ogg')
    const same = await rig.desk.stage(OWNER, { type: 'audio', ptt: true, uploadId: voice.id })
    expect(same).toMatchObject({ fileId: voice.id, media: { seconds: 2, waveform: expect.any(Array) } })
    expect(await refusal(rig.desk.stage(OWNER, { type: 'image', uploadId: upload.id }))).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
    })
    expect(rig.storage.media.get(upload.id)).not.toBeNull()
    // Refused after it was looked at, an upload is still there.
    const cut = await rig.desk.upload(OWNER.tenantId, inPieces(film().subarray(0, 900)), 'cut.mp4')
    expect((await refusal(rig.desk.stage(OWNER, { type: 'video', uploadId: cut.id }))).code).toBe(
      'UNSUPPORTED_MEDIA_TYPE',
    )
    expect(rig.storage.media.get(cut.id)).not.toBeNull()
  })

  test('of others, of messages, unknown and expired ones do not exist', async () => {
    rig = await mediaRig()
    const theirs = await rig.desk.upload(asTenantId('somebody else'), inPieces(png(9, 9)), null)
    const ours = await rig.desk.upload(OWNER.tenantId, inPieces(png(9, 9)), null)
    const sent = await stage('image', png(9, 9))
    const missing = (id: string) => refusal(rig.desk.stage(OWNER, { type: 'image', uploadId: id }))
    for (const id of [theirs.id, sent.fileId, 'f'.repeat(32), '../../etc/passwd', ''])
      expect([id, (await missing(id)).code]).toEqual([id, 'UPLOAD_NOT_FOUND'])
    rig.clock.shift = 3_700_000
    expect((await missing(ours.id)).code).toBe('UPLOAD_NOT_FOUND')
  })

  test('that are too large or empty leave nothing', async () => {
    rig = await mediaRig({ caps: { upload: 10_000 } })
    const upload = (file: Buffer) => refusal(rig.desk.upload(OWNER.tenantId, inPieces(file), 'x'))
    expect(await upload(randomBytes(10_001))).toMatchObject({
      code: 'FILE_TOO_LARGE',
      details: { maxBytes: 10_000 },
    })
    expect((await upload(Buffer.alloc(0))).code).toBe('VALIDATION_ERROR')
    expect(rig.left()).toEqual([])
  })
})

test('a dry run says the same and keeps nothing', async () => {
  rig = await mediaRig()
  const media = await rig.desk.examine(OWNER, ask('audio', wav([tone(8000, 2)], 8000), { ptt: true }))
  expect(media).toMatchObject({ mimetype: 'audio/ogg; codecs=opus', seconds: 2 })
  expect((await refusal(rig.desk.examine(OWNER, ask('image', Buffer.from('<html>'))))).code).toBe(
    'UNSUPPORTED_MEDIA_TYPE',
  )
  expect(rig.left()).toEqual([])
})

test('many at once all get their turn', async () => {
  rig = await mediaRig()
  const all = await Promise.all(Array.from({ length: 40 }, (_, index) => stage('image', png(20 + index, 20))))
  expect(all.map(({ media }) => media.width)).toEqual(Array.from({ length: 40 }, (_, index) => 20 + index))
})
