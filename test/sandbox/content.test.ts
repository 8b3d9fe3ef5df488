/** Every type of content: from phone to phone, to unmodified Baileys, and to the sender's own second device. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { normalizeMessageContent, proto, type WAMessage } from '@whiskeysockets/baileys'
import { ASK_TYPES, MESSAGE_TYPES } from '../../src/domain/content'
import { DEED_TYPES } from '../../src/sandbox/content-deeds'
import { PHONE_CONTENT_TYPES, type PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import { type BaileysClient, pairWithBaileys, startSandbox, type TestSandbox } from '../harness/sandbox'

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let adas: BaileysClient
let bobs: BaileysClient
let group: string

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917000000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917000000002', name: 'Bob' })
  adas = await pairWithBaileys(sandbox, ada)
  bobs = await pairWithBaileys(sandbox, bob)
  group = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'All', members: [ada.phoneNumber] }))
    .jid
})
afterAll(async () => {
  await adas.close()
  await bobs.close()
  await sandbox.stop()
})

const BYTES = Buffer.from('some bytes of a file')
const base64 = BYTES.toString('base64')
const size = BYTES.length
const waveform = Array.from({ length: 64 }, (_, at) => (at * 3) % 101)
const thumbnailBase64 = Buffer.from('tiny').toString('base64')

type Row = {
  name: string
  content: PhoneContent
  /** What a phone shows of it. */
  shown: Record<string, unknown>
  /** The field in which Baileys finds it, once wrappers are off. */
  field: keyof proto.IMessage
  /** Attributes of the stanza and of its `<enc>`. */
  type?: string
  mediatype?: string
  child?: string
}

/** Rows whose shown content is what was said. */
const same = (
  name: string,
  content: PhoneContent,
  field: keyof proto.IMessage,
  more: Partial<Row> = {},
): Row => ({ name, content, shown: { ...content }, field, ...more })

const place = { latitude: 52.5, longitude: 13.4 }
const ROWS: Row[] = [
  same('text', { type: 'text', text: 'Hello *you*' }, 'conversation'),
  same(
    'text with a preview',
    {
      type: 'text',
      text: 'see https://example.com',
      linkPreview: { url: 'https://example.com', title: 'Example', description: 'A page' },
    },
    'extendedTextMessage',
    { type: 'media', mediatype: 'url' },
  ),
  same('text for everybody', { type: 'text', text: '@all', mentionsAll: true }, 'extendedTextMessage'),
  {
    ...same(
      'text that names people',
      { type: 'text', text: '@1', mentions: ['4917000000001'] },
      'extendedTextMessage',
    ),
    shown: { type: 'text', text: '@1', mentions: [expect.stringMatching(/@lid$/)] },
  },
  same('forwarded text', { type: 'text', text: 'passed on', forwardingScore: 5 }, 'extendedTextMessage'),
  same(
    'text that vanishes',
    { type: 'text', text: 'soon gone', disappearingSeconds: 86_400 },
    'extendedTextMessage',
  ),
  same(
    'text that looks',
    { type: 'text', text: 'big', backgroundColor: '#1a2b3c', font: 2 },
    'extendedTextMessage',
  ),
  {
    name: 'image',
    content: { type: 'image', base64, caption: 'look', width: 3, height: 4, thumbnailBase64 },
    shown: { type: 'image', caption: 'look', media: { mimetype: 'image/jpeg', size, width: 3, height: 4 } },
    field: 'imageMessage',
    type: 'media',
    mediatype: 'image',
  },
  {
    name: 'image to be seen once',
    content: { type: 'image', base64, viewOnce: true, disappearingSeconds: 60 },
    shown: {
      type: 'image',
      viewOnce: true,
      disappearingSeconds: 60,
      media: { mimetype: 'image/jpeg', size },
    },
    field: 'imageMessage',
    type: 'media',
    mediatype: 'image',
  },
  {
    name: 'video',
    content: { type: 'video', base64, caption: 'watch', seconds: 7 },
    shown: { type: 'video', caption: 'watch', media: { mimetype: 'video/mp4', size, seconds: 7 } },
    field: 'videoMessage',
    type: 'media',
    mediatype: 'video',
  },
  {
    name: 'GIF',
    content: { type: 'video', base64, gifPlayback: true },
    shown: { type: 'video', gifPlayback: true, media: { mimetype: 'video/mp4', size } },
    field: 'videoMessage',
    type: 'media',
    mediatype: 'gif',
  },
  {
    name: 'round video',
    content: { type: 'video', base64, ptv: true, seconds: 3 },
    shown: { type: 'video', ptv: true, media: { mimetype: 'video/mp4', size, seconds: 3 } },
    field: 'ptvMessage',
    type: 'media',
    mediatype: 'ptv',
  },
  {
    name: 'video to be seen once',
    content: { type: 'video', base64, viewOnce: true },
    shown: { type: 'video', viewOnce: true, media: { mimetype: 'video/mp4', size } },
    field: 'videoMessage',
    type: 'media',
    mediatype: 'video',
  },
  {
    name: 'audio',
    content: { type: 'audio', base64, mimetype: 'audio/mpeg', seconds: 9 },
    shown: { type: 'audio', ptt: false, media: { mimetype: 'audio/mpeg', size, seconds: 9 } },
    field: 'audioMessage',
    type: 'media',
    mediatype: 'audio',
  },
  {
    name: 'voice note',
    content: { type: 'audio', base64, ptt: true, seconds: 2, waveform },
    shown: {
      type: 'audio',
      ptt: true,
      media: { mimetype: 'audio/ogg; codecs=opus', size, seconds: 2, waveform },
    },
    field: 'audioMessage',
    type: 'media',
    mediatype: 'ptt',
  },
  {
    name: 'voice note to be heard once',
    content: { type: 'audio', base64, ptt: true, viewOnce: true },
    shown: { type: 'audio', ptt: true, viewOnce: true, media: { mimetype: 'audio/ogg; codecs=opus', size } },
    field: 'audioMessage',
    type: 'media',
    mediatype: 'ptt',
  },
  {
    name: 'document',
    content: { type: 'document', base64, mimetype: 'application/pdf', filename: 'a.pdf' },
    shown: { type: 'document', media: { mimetype: 'application/pdf', size, filename: 'a.pdf' } },
    field: 'documentMessage',
    type: 'media',
    mediatype: 'document',
  },
  {
    name: 'document with words',
    content: { type: 'document', base64, filename: 'a.pdf', caption: 'read' },
    shown: {
      type: 'document',
      caption: 'read',
      media: { mimetype: 'application/octet-stream', size, filename: 'a.pdf' },
    },
    field: 'documentMessage',
    type: 'media',
    mediatype: 'document',
  },
  {
    name: 'animated sticker',
    content: { type: 'sticker', base64, animated: true, width: 512, height: 512 },
    shown: {
      type: 'sticker',
      animated: true,
      media: { mimetype: 'image/webp', size, width: 512, height: 512 },
    },
    field: 'stickerMessage',
    type: 'media',
    mediatype: 'sticker',
  },
  same('location', { type: 'location', ...place, name: 'Berlin', address: 'Mitte' }, 'locationMessage', {
    type: 'media',
    mediatype: 'location',
  }),
  same(
    'live location',
    {
      type: 'location',
      ...place,
      live: true,
      accuracy: 5,
      speed: 1.5,
      heading: 90,
      caption: 'on my way',
      duration: 900,
    },
    'liveLocationMessage',
    { type: 'media', mediatype: 'livelocation' },
  ),
  {
    name: 'contact',
    content: {
      type: 'contact',
      contacts: [
        {
          fullName: 'Eve, Dr; A\\B',
          phoneNumber: '+49 170 1',
          organization: 'Shop; Sons',
          email: 'eve@example.com',
          url: 'https://example.com:1/a',
        },
      ],
    },
    shown: {
      type: 'contact',
      contacts: [
        {
          fullName: 'Eve, Dr; A\\B',
          phoneNumber: '+491701',
          organization: 'Shop; Sons',
          email: 'eve@example.com',
          url: 'https://example.com:1/a',
          vcard: expect.stringContaining('waid=491701'),
        },
      ],
    },
    field: 'contactMessage',
    type: 'media',
    mediatype: 'vcard',
  },
  {
    name: 'contacts',
    content: { type: 'contact', contacts: [{ fullName: 'Eve' }, { fullName: 'Zoe', phoneNumber: '+491' }] },
    shown: {
      type: 'contact',
      contacts: [
        { fullName: 'Eve', vcard: expect.any(String) },
        { fullName: 'Zoe', phoneNumber: '+491', vcard: expect.any(String) },
      ],
    },
    field: 'contactsArrayMessage',
    type: 'media',
    mediatype: 'contact_array',
  },
  same(
    'poll',
    { type: 'poll', question: 'Tea?', options: ['yes', 'no'], selectable: 1 },
    'pollCreationMessageV3',
    {
      type: 'poll',
      child: 'meta polltype',
    },
  ),
  same(
    'poll of many',
    { type: 'poll', question: 'When?', options: ['1', '2', '3'], selectable: 0 },
    'pollCreationMessage',
    {
      type: 'poll',
      child: 'meta polltype',
    },
  ),
  same(
    'event',
    {
      type: 'event',
      name: 'Party',
      description: 'with cake',
      startsAt: '2030-01-02T03:04:05.000Z',
      endsAt: '2030-01-02T05:04:05.000Z',
      location: { name: 'Home', address: 'Here', ...place },
      joinLink: 'https://call.whatsapp.com/video/x',
      guestsAllowed: true,
    },
    'eventMessage',
    { type: 'event', child: 'meta event_type' },
  ),
  same(
    'event called off',
    { type: 'event', name: 'Party', startsAt: '2030-01-02T03:04:05.000Z', canceled: true },
    'eventMessage',
    { type: 'event', child: 'meta event_type' },
  ),
  ...(['buttons', 'template', 'interactive'] as const).map((format) => {
    const url = format === 'buttons' ? {} : { url: 'https://example.com' }
    const fields = {
      type: 'buttons',
      text: 'Choose',
      footer: 'soon',
      buttons: [
        { id: 'a', text: 'A' },
        { id: format === 'template' ? '' : 'b', text: 'B', ...url },
      ],
    } as const
    return {
      name: `buttons as ${format}`,
      content: { ...fields, buttons: [...fields.buttons], format },
      shown: fields,
      field: `${format}Message` as const,
      ...(format === 'template' ? {} : { child: 'biz' }),
    }
  }),
  ...(['list', 'interactive'] as const).map((format) => {
    const fields = {
      type: 'list',
      title: 'Menu',
      text: 'Eat',
      footer: 'now',
      buttonText: 'Open',
      sections: [{ title: 'Hot', rows: [{ id: '1', title: 'Soup', description: 'of the day' }] }],
    } as const
    const sections = fields.sections.map(({ title, rows }) => ({ title, rows: [...rows] }))
    return {
      name: `list as ${format}`,
      content: { ...fields, sections, format },
      shown: fields,
      field: `${format}Message` as const,
      child: 'biz',
      ...(format === 'list' ? { type: 'media', mediatype: 'list' } : {}),
    }
  }),
  same('choice', { type: 'choice', choiceId: 'a', text: 'A' }, 'buttonsResponseMessage', {
    type: 'media',
    mediatype: 'buttons_response',
  }),
  {
    name: 'product',
    content: {
      type: 'product',
      productId: '77',
      title: 'Cup',
      description: 'blue',
      currency: 'EUR',
      price: 12.5,
      url: 'https://example.com/cup',
      owner: '4917000000002',
    },
    shown: {
      type: 'product',
      productId: '77',
      title: 'Cup',
      description: 'blue',
      currency: 'EUR',
      price: 12.5,
      url: 'https://example.com/cup',
      owner: expect.stringMatching(/@lid$/),
    },
    field: 'productMessage',
    type: 'media',
    mediatype: 'product',
  },
  {
    name: 'order',
    content: {
      type: 'order',
      orderId: '5',
      title: 'Two cups',
      itemCount: 2,
      total: 25.5,
      currency: 'EUR',
      text: 'please',
      owner: '4917000000002',
    },
    shown: {
      type: 'order',
      orderId: '5',
      title: 'Two cups',
      itemCount: 2,
      total: 25.5,
      currency: 'EUR',
      text: 'please',
      owner: expect.stringMatching(/@lid$/),
    },
    field: 'orderMessage',
  },
  same(
    'invitation',
    {
      type: 'invite',
      groupId: '1203@g.us',
      subject: 'Club',
      inviteCode: 'abc',
      expiresAt: '2030-01-02T03:04:05.000Z',
      caption: 'come',
    },
    'groupInviteMessage',
    { type: 'media', mediatype: 'url' },
  ),
  same('setting of the chat', { type: 'disappearing', seconds: 604_800 }, 'protocolMessage'),
  {
    name: 'something nobody reads',
    content: {
      type: 'raw',
      base64: Buffer.from(
        proto.Message.encode({ sendPaymentMessage: { noteMessage: { conversation: 'x' } } }).finish(),
      ).toString('base64'),
    },
    shown: { type: 'unknown', kind: 'sendPaymentMessage', base64: expect.any(String) },
    field: 'sendPaymentMessage',
  },
]

const heardBy = (client: BaileysClient, id: string) => client.untilMessage(({ key }) => key.id === id)
const inner = ({ message }: WAMessage) => normalizeMessageContent(message ?? undefined) ?? {}
const encoded = ({ message }: WAMessage) =>
  message ? Buffer.from(proto.Message.encode(message).finish()).toString('base64') : null

/** What the phone handed to the server. */
const stanzaOf = (id: string) =>
  sandbox.server.log
    .entries({ phoneNumber: bob.phoneNumber, tag: 'message' })
    .find(({ direction, deviceId, stanza }) => direction === 'in' && deviceId === 0 && stanza.attrs.id === id)
    ?.stanza

describe.each(['1:1', 'group'])('in a chat (%s)', (where) => {
  const to = () => (where === 'group' ? group : ada.phoneNumber)

  test.each(ROWS)('$name', async ({ content, shown, field, type = 'text', mediatype, child }) => {
    const said = await bob.send(to(), content)
    expect(said.content).toEqual(shown as { type: string })
    const got = await ada.waitForMessage(({ id }) => id === said.id)
    expect(got).toMatchObject({
      chat: where === 'group' ? group : bob.jid,
      from: bob.jid,
      fromMe: false,
      pushName: 'Bob',
    })
    expect(got.content).toEqual(shown as { type: string })
    if ('base64' in content && content.type !== 'raw') expect(await ada.download(said.id)).toEqual(BYTES)

    const heard = await heardBy(adas, said.id)
    if ('viewOnce' in content) {
      // Files that can be opened once are for phones: companions are told that something has come.
      for (const told of [heard, await heardBy(bobs, said.id)]) {
        expect(told.key.isViewOnce).toBe(true)
        expect(inner(told)[field]).toBeFalsy()
      }
      expect(JSON.stringify(stanzaOf(said.id))).not.toContain(':1@')
      return
    }
    expect(heard.key).toMatchObject({ fromMe: false, remoteJid: where === 'group' ? group : bob.lid })
    expect(inner(heard)[field]).toBeTruthy()
    // The sender's own companion has the very same message, as its own.
    const own = await heardBy(bobs, said.id)
    expect(own.key).toMatchObject({ fromMe: true, remoteJid: where === 'group' ? group : ada.lid })
    expect(encoded(own)).toBe(encoded(heard))

    const stanza = stanzaOf(said.id)
    expect(stanza?.attrs).toMatchObject({ type })
    expect(JSON.stringify(stanza)).toContain(mediatype ? `"mediatype":"${mediatype}"` : '"v":"2"')
    expect(JSON.stringify(stanza).includes('mediatype')).toBe(mediatype !== undefined)
    const children = (stanza?.children ?? []).map(({ tag, attrs }) => [tag, ...Object.keys(attrs)].join(' '))
    if (child) expect(children).toContain(child)
    else expect(children.some((each) => /^(meta|biz)/.test(each))).toBe(false)
  })
})

test.each(['1:1', 'group'])('comments stand below their message (%s)', async (where) => {
  const to = where === 'group' ? group : ada.phoneNumber
  const { id } = await ada.send(where === 'group' ? group : bob.phoneNumber, 'news')
  await bob.waitForMessage((message) => message.id === id)
  const content = { type: 'comment', text: 'well said', targetMessageId: id } as const
  const said = await bob.send(to, content)
  expect((await ada.waitForMessage((message) => message.id === said.id)).content).toEqual(content)
  expect(inner(await heardBy(adas, said.id)).commentMessage?.targetMessageKey).toMatchObject({ id })
})

test('the list of types is that of the service', () => {
  const rows = new Set<string>(ROWS.map(({ content }) => content.type))
  const deeds: string[] = [...DEED_TYPES, 'comment', 'album', 'forward']
  const known = new Set<string>(PHONE_CONTENT_TYPES)
  const { unknown: _, ...wanted } = Object.fromEntries(
    [...MESSAGE_TYPES, ...ASK_TYPES].map((type) => [type, true]),
  )
  expect(Object.keys(wanted).filter((type) => !known.has(type))).toEqual([])
  // Every type a phone can say has a row above, or a test of its own in phone-deeds.test.ts.
  expect(PHONE_CONTENT_TYPES.filter((type) => !rows.has(type) && !deeds.includes(type))).toEqual([])
})
