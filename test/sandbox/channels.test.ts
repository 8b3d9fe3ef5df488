/** Channels: who may say what, who gets it, and what the server counts. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { type BinaryNode, proto, QueryIds } from '@whiskeysockets/baileys'
import { child, childBytes, children, childText, node, SERVER } from '../../src/sandbox/node'
import { createManualClock, type ManualClock } from '../harness/clock'
import {
  type Companion,
  enc,
  type Lab,
  type LabPhone,
  outcome,
  startLab,
  tagged,
  to,
  type Wire,
} from './support/lab'

let lab: Lab
let clock: ManualClock
let numbers = 4933000000000
let ids = 0
type Party = { phone: LabPhone; companion: Companion; wire: Wire }
const fresh = async (): Promise<Party> => {
  const { phone, companion } = await lab.linked(String(++numbers))
  return { phone, companion, wire: await companion.online() }
}

beforeAll(async () => {
  clock = createManualClock()
  lab = await startLab({ clock })
})
afterAll(() => lab.stop())

const words = (text: string) => Buffer.from(proto.Message.encode({ conversation: text }).finish())
const saying = (content: Uint8Array | undefined) =>
  proto.Message.decode(content ?? new Uint8Array()).conversation
const plaintext = (text: string, attrs = {}) => node('plaintext', attrs, words(text))

/** A GraphQL query's field, or the code of its error. */
const graph = async (who: Party, id: string, variables: object) => {
  const query = node('query', { query_id: id }, JSON.stringify({ variables }))
  const answer = await who.wire.query('w:mex', 'get', [query])
  const told = JSON.parse(childText(answer, 'result') ?? '{}')
  return told.errors?.[0].extensions.error_code ?? Object.values(told.data)[0]
}
const create = async (who: Party, name = 'News', description: string | null = null): Promise<string> =>
  (await graph(who, QueryIds.CREATE, { input: { name, description } })).id
const follow = (who: Party, jid: string) => graph(who, QueryIds.FOLLOW, { newsletter_id: jid })
const metadata = (who: Party, key: string, type = 'JID') =>
  graph(who, QueryIds.METADATA, { input: { key, type } })

const say = async (who: Party, jid: string, content: BinaryNode[], attrs: Record<string, string> = {}) => {
  const id = attrs.id ?? `C${++ids}`
  who.wire.send(node('message', { id, to: jid, type: 'text', ...attrs }, content))
  const ack = await who.wire.take('ack', { class: 'message', id })
  return { id, error: ack.attrs.error, serverId: ack.attrs.server_id }
}
const post = (who: Party, jid: string, text: string, attrs = {}) => say(who, jid, [plaintext(text)], attrs)
const react = (who: Party, jid: string, serverId: string | undefined, code?: string, attrs = {}) =>
  say(who, jid, [node('reaction', code === undefined ? {} : { code })], {
    type: 'reaction',
    server_id: serverId ?? '',
    ...(code === undefined ? { edit: '7' } : {}),
    ...attrs,
  })
const read = async (who: Party, jid: string, attrs: Record<string, string> = {}) => {
  const answer = await who.wire.query(
    'newsletter',
    'get',
    [node('message_updates', { count: '10', ...attrs })],
    {
      to: jid,
    },
  )
  return children(child(child(answer, 'message_updates'), 'messages'), 'message')
}
const view = async (who: Party, jid: string, ...serverIds: (string | undefined)[]) => {
  const items = serverIds.map((server_id) => node('item', { server_id }))
  const id = `V${++ids}`
  who.wire.send(node('receipt', { id, to: jid, type: 'view' }, [node('list', {}, items)]))
  return (await who.wire.take('ack', { class: 'receipt', id })).attrs.error
}

describe('a channel', () => {
  test('is described to everybody, with what they are in it', async () => {
    const [owner, reader] = [await fresh(), await fresh()]
    const jid = await create(owner, 'Weather', 'Daily')
    expect(jid).toMatch(/^\d+@newsletter$/)
    const seen = await metadata(owner, jid)
    expect(seen).toMatchObject({
      id: jid,
      state: { type: 'ACTIVE' },
      thread_metadata: { name: { text: 'Weather' }, description: { text: 'Daily' }, subscribers_count: '0' },
      viewer_metadata: { role: 'OWNER', mute: 'OFF' },
    })
    expect(await metadata(reader, seen.thread_metadata.invite, 'INVITE')).toMatchObject({
      id: jid,
      viewer_metadata: { role: 'GUEST' },
    })
    expect(await metadata(reader, '1@newsletter')).toBe(404)
    expect(await metadata(reader, 'nothing', 'INVITE')).toBe(404)
    expect(await follow(reader, '1@newsletter')).toBe(404)
    const nobody = { newsletter_id: jid, user_id: '4939999999999@s.whatsapp.net' }
    expect(await graph(owner, QueryIds.CHANGE_OWNER, nobody)).toBe(404)
  })

  test('is followed and left, muted and counted', async () => {
    const [owner, reader] = [await fresh(), await fresh()]
    const jid = await create(owner)
    expect(await follow(reader, jid)).toMatchObject({ viewer_metadata: { role: 'SUBSCRIBER' } })
    await follow(reader, jid)
    const told = await reader.wire.take('notification', { type: 'mex' })
    expect(child(told, 'update')?.attrs.op_name).toBe('NotificationNewsletterJoin')
    expect(reader.wire.inbox.unread('notification')).toEqual([])
    expect(await graph(owner, QueryIds.SUBSCRIBERS, { newsletter_id: jid })).toEqual({ subscribers: 1 })
    expect(await graph(reader, QueryIds.MUTE, { newsletter_id: jid })).toMatchObject({
      viewer_metadata: { mute: 'ON' },
    })
    await graph(reader, QueryIds.UNMUTE, { newsletter_id: jid })
    await graph(reader, QueryIds.UNFOLLOW, { newsletter_id: jid })
    expect(await metadata(reader, jid)).toMatchObject({
      thread_metadata: { subscribers_count: '0' },
      viewer_metadata: { role: 'GUEST', mute: 'OFF' },
    })
    expect(await graph(reader, QueryIds.MUTE, { newsletter_id: jid })).toBe(403)
    expect(await graph(owner, QueryIds.UNFOLLOW, { newsletter_id: jid })).toBe(403)
    expect(await follow(owner, jid)).toBe(403)
  })

  test.each([
    ['without a name', { name: ' ' }],
    ['with a name of 101 characters', { name: 'x'.repeat(101) }],
    ['with too long a description', { name: 'N', description: 'x'.repeat(2049) }],
    ['with a name that is no text', { name: 7 }],
  ])('is not made %s', async (_, input) => {
    expect(await graph(await fresh(), QueryIds.CREATE, { input })).toBe(400)
  })

  test('is renamed by those who may post, and followers hear of it', async () => {
    const [owner, reader] = [await fresh(), await fresh()]
    const jid = await create(owner)
    await follow(reader, jid)
    await reader.wire.take('notification', { type: 'mex' })
    const change = { newsletter_id: jid, updates: { name: 'Better', settings: null } }
    expect(await graph(reader, QueryIds.UPDATE_METADATA, change)).toBe(403)
    expect(await graph(owner, QueryIds.UPDATE_METADATA, change)).toMatchObject({
      thread_metadata: { name: { text: 'Better' } },
    })
    const told = JSON.parse(
      childText(await reader.wire.take('notification', { type: 'mex' }), 'update') ?? '{}',
    )
    expect(told.updates).toEqual([{ jid, settings: { name: 'Better' } }])
    expect(told.data.xwa2_notify_newsletter_on_metadata_update.id).toBe(jid)
  })

  test('changes hands, admins and life by its owner alone', async () => {
    const [owner, heir, reader] = [await fresh(), await fresh(), await fresh()]
    const jid = await create(owner)
    const channel = lab.server.world.channels.get(jid)
    const heirs = { newsletter_id: jid, user_id: heir.phone.jid }
    expect(await graph(owner, QueryIds.CHANGE_OWNER, heirs)).toBe(403)
    channel?.admins.add(heir.phone.account)
    expect(await graph(owner, QueryIds.ADMIN_COUNT, { newsletter_id: jid })).toEqual({ admin_count: 2 })
    expect(await graph(heir, QueryIds.CHANGE_OWNER, heirs)).toBe(403)
    expect(await graph(owner, QueryIds.CHANGE_OWNER, heirs)).toEqual({ id: jid })
    expect((await metadata(heir, jid)).viewer_metadata.role).toBe('OWNER')
    expect((await metadata(owner, jid)).viewer_metadata.role).toBe('ADMIN')
    await graph(heir, QueryIds.DEMOTE, { newsletter_id: jid, user_id: owner.phone.lid })
    expect((await post(owner, jid, 'Still me?')).error).toBe('403')
    expect(await graph(heir, QueryIds.DEMOTE, { newsletter_id: jid, user_id: owner.phone.lid })).toBe(404)
    await follow(reader, jid)
    expect(await graph(reader, QueryIds.DELETE, { newsletter_id: jid })).toBe(403)
    expect(await graph(heir, QueryIds.DELETE, { newsletter_id: jid })).toEqual({ id: jid })
    expect(await metadata(reader, jid)).toBe(404)
    expect((await post(heir, jid, 'Anybody?')).error).toBe('404')
  })
})

describe('a post', () => {
  let owner: Party
  let reader: Party
  let jid: string
  beforeEach(async () => {
    owner = await fresh()
    reader = await fresh()
    jid = await create(owner)
    await follow(reader, jid)
  })

  test('reaches every device of every follower, in plain text and numbered', async () => {
    const stranger = await fresh()
    const first = await post(owner, jid, 'One', { type: 'media' })
    const second = await say(owner, jid, [plaintext('Two', { mediatype: 'image' })], { type: 'media' })
    expect([first.serverId, second.serverId]).toEqual(['1', '2'])
    for (const inbox of [reader.wire.inbox, reader.phone.inbox]) {
      const got = await inbox.take(tagged('message', { id: first.id }))
      expect(got.attrs).toEqual({
        from: jid,
        id: first.id,
        server_id: '1',
        t: expect.any(String),
        type: 'media',
      })
      expect(saying(childBytes(got, 'plaintext'))).toBe('One')
      const next = await inbox.take(tagged('message', { id: second.id }))
      expect(child(next, 'plaintext')?.attrs).toEqual({ mediatype: 'image' })
    }
    // The author's other devices know it as their own.
    const own = await owner.phone.inbox.take(tagged('message', { id: first.id }))
    expect(own.attrs.is_sender).toBe('true')
    await owner.wire.settled()
    expect(owner.wire.inbox.unread('message')).toEqual([])
    await stranger.wire.settled()
    expect(stranger.wire.inbox.unread('message')).toEqual([])
  })

  test('waits for a follower who is away, until it is acknowledged', async () => {
    reader.wire.close()
    await reader.wire.closed
    const { id } = await post(owner, jid, 'Later')
    const wire = await reader.companion.online()
    expect((await wire.take('message', { id })).attrs.offline).toMatch(/^\d+$/)
    wire.send(node('ack', { class: 'message', id, to: jid }))
    await wire.settled()
    expect(reader.companion.device?.pending.filter(({ tag }) => tag === 'message')).toEqual([])
  })

  test('sent again under its id is the same post', async () => {
    const first = await post(owner, jid, 'Once')
    expect((await post(owner, jid, 'Once', { id: first.id })).serverId).toBe(first.serverId)
    expect(await read(reader, jid)).toHaveLength(1)
    const other = await fresh()
    lab.server.world.channels.get(jid)?.admins.add(other.phone.account)
    expect((await post(other, jid, 'Mine', { id: first.id })).error).toBe('409')
  })

  test.each<[string, string, () => Promise<{ error?: string | undefined }>]>([
    ['by a follower', '403', () => post(reader, jid, 'Me too')],
    ['in no channel', '404', () => post(owner, '1@newsletter', 'Echo')],
    ['that is encrypted', '479', () => say(owner, jid, [enc('skmsg')])],
    [
      'for named devices',
      '479',
      () => say(owner, jid, [plaintext('x'), node('participants', {}, [to(reader.phone.jid)])]),
    ],
    ['without content', '479', () => say(owner, jid, [node('plaintext')])],
    ['that is no message', '479', () => say(owner, jid, [node('plaintext', {}, Buffer.from([0xff, 0xff]))])],
    ['of a kind that channels do not have', '479', () => post(owner, jid, 'x', { type: 'event' })],
    [
      'that tries to edit as in a chat',
      '479',
      () =>
        say(owner, jid, [
          node(
            'plaintext',
            {},
            Buffer.from(
              proto.Message.encode({
                protocolMessage: { type: 14, key: { id: 'x' }, editedMessage: { conversation: 'y' } },
              }).finish(),
            ),
          ),
        ]),
    ],
  ])('%s is refused with %s', async (_, code, attempt) => {
    expect((await attempt()).error).toBe(code)
    expect(await read(owner, jid)).toEqual([])
  })

  test('is edited and taken back under its own id', async () => {
    const { id, serverId } = await post(owner, jid, 'Frist')
    expect((await post(reader, jid, 'Mine', { id, edit: '3' })).error).toBe('403')
    expect((await post(owner, jid, 'First', { id, edit: '3' })).serverId).toBe(serverId)
    await reader.wire.take('message', { id })
    const edited = await reader.wire.take('message', { id, edit: '3' })
    expect(saying(childBytes(edited, 'plaintext'))).toBe('First')
    expect(child(edited, 'meta')?.attrs).toMatchObject({ msg_edit_t: expect.any(String) })
    expect((await post(owner, jid, 'x', { edit: '3' })).error).toBe('404')
    expect((await post(owner, jid, 'x', { id, edit: '1' })).error).toBe('479')
    expect((await say(owner, jid, [node('plaintext')], { id, edit: '7' })).error).toBe('479')

    expect((await say(owner, jid, [node('plaintext')], { id, edit: '8' })).error).toBeUndefined()
    const gone = await reader.wire.take('message', { id, edit: '8' })
    expect(childBytes(gone, 'plaintext')).toBeUndefined()
    expect((await post(owner, jid, 'Again', { id, edit: '3' })).error).toBe('404')
    expect((await react(reader, jid, serverId, '👍')).error).toBe('404')
  })

  test('is reacted to and seen, and those who listen hear the counts', async () => {
    const { serverId } = await post(owner, jid, 'Like it?')
    const listen = await owner.wire.query('newsletter', 'set', [node('live_updates')], { to: jid })
    expect(child(listen, 'live_updates')?.attrs.duration).toBe('300')
    const counts = async () => {
      const told = await owner.wire.take('notification', { type: 'newsletter', from: jid })
      const shown = child(child(child(told, 'live_updates'), 'messages'), 'message')
      expect(shown?.attrs.server_id).toBe(serverId ?? '')
      expect(child(shown, 'plaintext')).toBeUndefined()
      return {
        reactions: children(child(shown, 'reactions')).map(({ attrs }) => [attrs.code, attrs.count]),
        views: child(shown, 'views_count')?.attrs.count,
      }
    }
    expect((await react(reader, jid, serverId, '👍')).error).toBeUndefined()
    expect(await counts()).toEqual({ reactions: [['👍', '1']], views: '0' })
    await react(reader, jid, serverId, '🎉')
    expect(await counts()).toEqual({ reactions: [['🎉', '1']], views: '0' })
    await view(reader, jid, serverId, '99')
    expect(await counts()).toEqual({ reactions: [['🎉', '1']], views: '1' })
    await view(reader, jid, serverId)
    await react(reader, jid, serverId)
    expect(await counts()).toEqual({ reactions: [], views: '1' })
    await reader.wire.settled()
    expect(
      reader.wire.inbox.unread('notification').filter(({ attrs }) => attrs.type === 'newsletter'),
    ).toEqual([])

    // A device that is no longer there is not told either, however long it was to listen.
    const gone = await lab.companion().pair(owner.phone)
    const listener = await gone.online()
    await listener.query('newsletter', 'set', [node('live_updates')], { to: jid })
    owner.phone.uplink.unlink(gone.device?.id ?? 0)
    await react(reader, jid, serverId, '👍')
    expect(gone.device?.pending).toEqual([])
    await counts()

    await clock.advance(300_000)
    await view(await fresh(), jid, serverId)
    await owner.wire.settled()
    expect(
      owner.wire.inbox.unread('notification').filter(({ attrs }) => attrs.type === 'newsletter'),
    ).toEqual([])
  })

  test.each<[string, string, (serverId: string | undefined) => Promise<{ error?: string | undefined }>]>([
    ['by a stranger', '403', async (serverId) => react(await fresh(), jid, serverId, '👍')],
    ['to no post', '404', () => react(reader, jid, '99', '👍')],
    [
      'that is none',
      '479',
      (serverId) => say(reader, jid, [], { type: 'reaction', server_id: serverId ?? '' }),
    ],
    [
      'without a code that is no removal',
      '479',
      (serverId) => react(reader, jid, serverId, undefined, { edit: '' }),
    ],
    ['with a code that is a removal', '479', (serverId) => react(reader, jid, serverId, '👍', { edit: '7' })],
    ['of a paragraph', '479', (serverId) => react(reader, jid, serverId, '👍'.repeat(20))],
    [
      'that the channel does not allow',
      '405',
      (serverId) => {
        const channel = lab.server.world.channels.get(jid)
        if (channel) channel.reactionCodes = 'BASIC'
        return react(reader, jid, serverId, '🎉')
      },
    ],
  ])('a reaction %s is refused with %s', async (_, code, attempt) => {
    const { serverId } = await post(owner, jid, 'Hm')
    expect((await attempt(serverId)).error).toBe(code)
  })

  test('is read by anybody, from where they left off', async () => {
    const stranger = await fresh()
    for (const text of ['One', 'Two', 'Three']) await post(owner, jid, text)
    const texts = async (attrs: Record<string, string>) =>
      (await read(stranger, jid, attrs)).map((each) => saying(childBytes(each, 'plaintext')))
    expect(await texts({})).toEqual(['One', 'Two', 'Three'])
    expect(await texts({ count: '2' })).toEqual(['Two', 'Three'])
    expect(await texts({ after: '2' })).toEqual(['Three'])
    const start = Math.floor(clock.now() / 1000)
    await clock.advance(10_000)
    await view(stranger, jid, '2')
    expect(await texts({ since: String(start + 5) })).toEqual(['Two'])

    const older = await stranger.wire.query('newsletter', 'get', [
      node('messages', { type: 'jid', jid, count: '5', before: '3' }),
    ])
    expect(children(child(older, 'messages'), 'message').map(({ attrs }) => attrs.server_id)).toEqual([
      '1',
      '2',
    ])
    const ask = (what: string, attrs: Record<string, string>, at: string) =>
      stranger.wire.query('newsletter', 'get', [node(what, attrs)], { to: at })
    expect(outcome(await ask('message_updates', { count: '0' }, jid))).toBe('400')
    expect(outcome(await ask('message_updates', { count: '5' }, '1@newsletter'))).toBe('404')
    expect(outcome(await ask('message_updates', { count: '5' }, stranger.phone.jid))).toBe('400')
    expect(outcome(await ask('gossip', {}, jid))).toBe('400')
    expect(outcome(await ask('messages', { type: 'jid', jid: '1@newsletter' }, SERVER))).toBe('404')
  })
})
