/** Everything that an unmodified Baileys can send, as phones show it: the addressee's and the sender's own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { AnyMessageContent, MiscMessageGenerationOptions, WAMessage } from '@whiskeysockets/baileys'
import type { Phone } from '../../src/sandbox/phone'
import { type BaileysClient, pairWithBaileys, startSandbox, type TestSandbox } from '../harness/sandbox'

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let client: BaileysClient
let group: string

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917200000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917200000002', name: 'Bob' })
  client = await pairWithBaileys(sandbox, ada)
  group = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'All', members: [ada.phoneNumber] }))
    .jid
})
afterAll(async () => {
  await client.close()
  await sandbox.stop()
})

const FILE = Buffer.from('some bytes of a file')
const size = FILE.length
const jpegThumbnail = ''
const waveform = new Uint8Array(64).fill(7)
const start = new Date('2030-01-02T03:04:05.000Z')

type Row = [
  name: string,
  content: AnyMessageContent,
  shown: Record<string, unknown>,
  options?: MiscMessageGenerationOptions,
]
const ROWS: Row[] = [
  ['text', { text: 'Hello' }, { type: 'text', text: 'Hello' }],
  [
    'text with a preview',
    {
      text: 'see https://example.com',
      linkPreview: {
        'canonical-url': 'https://example.com',
        'matched-text': 'https://example.com',
        title: 'Example',
        description: 'A page',
      },
    },
    {
      type: 'text',
      text: 'see https://example.com',
      linkPreview: { url: 'https://example.com', title: 'Example', description: 'A page' },
    },
  ],
  [
    'text that names people',
    { text: '@1', mentions: ['1@s.whatsapp.net'] },
    { type: 'text', text: '@1', mentions: ['1@s.whatsapp.net'] },
  ],
  [
    'text for everybody',
    { text: '@all', mentionAll: true },
    { type: 'text', text: '@all', mentionsAll: true },
  ],
  [
    'text that vanishes',
    { text: 'soon gone' },
    { type: 'text', text: 'soon gone', disappearingSeconds: 86_400 },
    { ephemeralExpiration: 86_400 },
  ],
  [
    'text that looks',
    { text: 'big' },
    { type: 'text', text: 'big', backgroundColor: '#1a2b3c', font: 2 },
    { backgroundColor: '#1a2b3c', font: 2 },
  ],
  [
    'image',
    { image: FILE, caption: 'look', width: 3, height: 4, jpegThumbnail },
    { type: 'image', caption: 'look', media: { mimetype: 'image/jpeg', size, width: 3, height: 4 } },
  ],
  [
    'image to be seen once',
    { image: FILE, viewOnce: true, jpegThumbnail },
    { type: 'image', viewOnce: true, media: { mimetype: 'image/jpeg', size } },
  ],
  [
    'video',
    { video: FILE, caption: 'watch', seconds: 7, jpegThumbnail } as AnyMessageContent,
    { type: 'video', caption: 'watch', media: { mimetype: 'video/mp4', size, seconds: 7 } },
  ],
  [
    'GIF',
    { video: FILE, gifPlayback: true, jpegThumbnail },
    { type: 'video', gifPlayback: true, media: { mimetype: 'video/mp4', size } },
  ],
  [
    'round video',
    { video: FILE, ptv: true },
    { type: 'video', ptv: true, media: { mimetype: 'video/mp4', size } },
  ],
  [
    'audio',
    { audio: FILE, mimetype: 'audio/mpeg', seconds: 9 },
    { type: 'audio', ptt: false, media: { mimetype: 'audio/mpeg', size, seconds: 9 } },
  ],
  [
    'voice note',
    { audio: FILE, ptt: true, seconds: 2, waveform } as AnyMessageContent,
    {
      type: 'audio',
      ptt: true,
      media: { mimetype: 'audio/ogg; codecs=opus', size, seconds: 2, waveform: [...waveform] },
    },
  ],
  [
    'document with words',
    { document: FILE, mimetype: 'application/pdf', fileName: 'a.pdf', caption: 'read' },
    { type: 'document', caption: 'read', media: { mimetype: 'application/pdf', size, filename: 'a.pdf' } },
  ],
  [
    'sticker',
    { sticker: FILE, isAnimated: true, width: 512, height: 512 },
    { type: 'sticker', animated: true, media: { mimetype: 'image/webp', size, width: 512, height: 512 } },
  ],
  [
    'location',
    { location: { degreesLatitude: 52.5, degreesLongitude: 13.4, name: 'Berlin', address: 'Mitte' } },
    { type: 'location', latitude: 52.5, longitude: 13.4, name: 'Berlin', address: 'Mitte' },
  ],
  [
    'contact',
    {
      contacts: {
        displayName: 'Eve',
        contacts: [
          {
            displayName: 'Eve',
            vcard: 'BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Eve\r\nitem1.TEL;waid=1:+1\r\nEND:VCARD',
          },
        ],
      },
    },
    { type: 'contact', contacts: [{ fullName: 'Eve', phoneNumber: '+1', vcard: expect.any(String) }] },
  ],
  [
    'contacts',
    {
      contacts: {
        displayName: '2',
        contacts: [
          { displayName: 'Eve', vcard: 'BEGIN:VCARD\nVERSION:3.0\nORG:A\\;B;\nEND:VCARD' },
          { displayName: 'Zoe', vcard: 'BEGIN:VCARD\nVERSION:3.0\nFN:Zo\n e\nEND:VCARD' },
        ],
      },
    },
    {
      type: 'contact',
      contacts: [
        { fullName: 'Eve', organization: 'A;B', vcard: expect.any(String) },
        { fullName: 'Zoe', vcard: expect.any(String) },
      ],
    },
  ],
  [
    'poll',
    { poll: { name: 'Tea?', values: ['yes', 'no'], selectableCount: 1 } },
    { type: 'poll', question: 'Tea?', options: ['yes', 'no'], selectable: 1 },
  ],
  [
    'poll of an announcement',
    { poll: { name: 'When?', values: ['1', '2'], toAnnouncementGroup: true } },
    { type: 'poll', question: 'When?', options: ['1', '2'], selectable: 0 },
  ],
  [
    'event',
    {
      event: {
        name: 'Party',
        description: 'with cake',
        startDate: start,
        endDate: new Date(start.getTime() + 3_600_000),
        location: { name: 'Home', degreesLatitude: 1, degreesLongitude: 2 },
        extraGuestsAllowed: true,
      },
    },
    {
      type: 'event',
      name: 'Party',
      description: 'with cake',
      startsAt: '2030-01-02T03:04:05.000Z',
      endsAt: '2030-01-02T04:04:05.000Z',
      location: { name: 'Home', latitude: 1, longitude: 2 },
      guestsAllowed: true,
    },
  ],
  [
    'invitation',
    {
      groupInvite: {
        inviteCode: 'abc',
        inviteExpiration: 1_893_553_445,
        text: 'come',
        jid: '1203@g.us',
        subject: 'Club',
      },
    },
    {
      type: 'invite',
      groupId: '1203@g.us',
      subject: 'Club',
      inviteCode: 'abc',
      expiresAt: '2030-01-02T03:04:05.000Z',
      caption: 'come',
    },
    // Baileys sends none for a group without a picture.
    { getProfilePicUrl: undefined } as MiscMessageGenerationOptions,
  ],
  [
    'product',
    {
      product: {
        productImage: FILE,
        productId: '7',
        title: 'Cup',
        description: 'blue',
        currencyCode: 'EUR',
        priceAmount1000: 12_500,
        url: 'https://example.com',
      },
      businessOwnerJid: '1@s.whatsapp.net',
    },
    {
      type: 'product',
      productId: '7',
      title: 'Cup',
      description: 'blue',
      currency: 'EUR',
      price: 12.5,
      url: 'https://example.com',
      owner: '1@s.whatsapp.net',
    },
  ],
  [
    'answer to a template',
    { buttonReply: { displayText: 'A', id: 'a', index: 0 }, type: 'template' },
    { type: 'choice', choiceId: 'a', text: 'A' },
  ],
  [
    'answer to buttons',
    { buttonReply: { displayText: 'A', id: 'a', index: 0 }, type: 'plain' },
    { type: 'choice', choiceId: 'a', text: 'A' },
  ],
  [
    'answer to a list',
    { listReply: { title: 'A', listType: 1, singleSelectReply: { selectedRowId: 'a' } } },
    { type: 'choice', choiceId: 'a', text: 'A' },
  ],
  [
    'album',
    { album: { expectedImageCount: 2, expectedVideoCount: 1 } },
    { type: 'album', images: 2, videos: 1 },
  ],
]

const idOf = (message: WAMessage | undefined) => message?.key.id ?? ''
const shownBy = (phone: Phone, id: string) => phone.waitForMessage((message) => message.id === id)

describe.each(['1:1', 'group'])('in a chat (%s)', (where) => {
  const to = () => (where === 'group' ? group : bob.jid)
  const say = async (content: AnyMessageContent, options?: MiscMessageGenerationOptions) =>
    (await client.sock.sendMessage(to(), content, options)) as WAMessage

  const rows = ROWS.map(([name, content, shown, options]) => ({ name, content, shown, options }))
  test.each(rows)('$name', async ({ content, shown, options }) => {
    const id = idOf(await say({ ...content }, options))
    const got = await shownBy(bob, id)
    expect(got).toMatchObject({ from: ada.jid, fromMe: false, device: 1, pushName: 'Ada' })
    expect(got.content).toEqual(shown as { type: string })
    const own = await shownBy(ada, id)
    expect(own).toMatchObject({
      from: ada.jid,
      fromMe: true,
      device: 1,
      chat: where === 'group' ? group : bob.jid,
    })
    expect(own.content).toEqual(shown as { type: string })
    if ('media' in shown) for (const phone of [ada, bob]) expect(await phone.download(id)).toEqual(FILE)
  })

  test('what acts on earlier messages', async () => {
    const said = await say({ text: 'first' })
    const id = idOf(said)
    await shownBy(bob, id)
    const { id: answer } = await bob.send(where === 'group' ? group : ada.phoneNumber, 'second')
    const heard = await client.untilMessage(({ key }) => key.id === answer)
    const both = async (of: string, fits: Parameters<Phone['waitUntilShown']>[1]) => {
      for (const phone of [ada, bob]) await phone.waitUntilShown(of, fits)
    }

    await say({ react: { text: '👍', key: heard.key } })
    await both(answer, ({ reactions }) => reactions[0]?.emoji === '👍' && reactions[0]?.from === ada.jid)
    await say({ text: 'edited', edit: said.key })
    await both(id, ({ edited, content }) => edited && content.text === 'edited')
    await say({ pin: heard.key, type: 1, time: 86_400 })
    await both(answer, ({ pinned }) => pinned)
    await say({ pin: heard.key, type: 2 })
    await both(answer, ({ pinned }) => !pinned)
    const quote = await say({ text: 'third' }, { quoted: heard })
    expect((await shownBy(bob, idOf(quote))).content).toMatchObject({
      quotedMessageId: answer,
      quoted: { messageId: answer, text: 'second' },
    })
    const forward = await say({ forward: heard })
    expect((await shownBy(bob, idOf(forward))).content).toMatchObject({ text: 'second', forwardingScore: 1 })
    await say({ delete: said.key })
    await both(id, ({ deleted }) => deleted)

    const album = await say({ album: { expectedImageCount: 1, expectedVideoCount: 0 } })
    const child = await say({ image: FILE, jpegThumbnail, albumParentKey: album.key })
    expect((await shownBy(bob, idOf(child))).content).toMatchObject({ type: 'image', albumId: idOf(album) })
  })
})

test('the setting of a chat', async () => {
  const said = await client.sock.sendMessage(bob.jid, { disappearingMessagesInChat: 604_800 })
  expect((await shownBy(bob, idOf(said))).content).toEqual({ type: 'disappearing', seconds: 604_800 })
})
