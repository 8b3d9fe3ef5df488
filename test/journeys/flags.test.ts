/** What a message says of how it came: from us or others, by the API or a phone, while we were away, out of the past. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OWNER_KEY } from '../harness/app'
import { jpeg } from '../media/pictures'
import { eventually, type Fields, startTalk, type Talk, type Told, type View } from './talk'

const OURS = '4915111111901'
const ADA = '4915122222901'
const BOB = '4915133333901'
const picture = await jpeg(50, 40)

let talk: Talk
beforeAll(async () => {
  talk = await startTalk(OURS, { [ADA]: 'Ada', [BOB]: 'Bob' })
})
afterAll(() => talk?.stop())

const flagsOf = ({ fromMe, viaApi, offline, history, status, event }: Fields) => ({
  ...(event === undefined ? { status } : { event }),
  ...(fromMe === undefined ? {} : { fromMe }),
  ...(viaApi === undefined ? {} : { viaApi }),
  ...(offline === undefined ? {} : { offline }),
  ...(history === undefined ? {} : { history }),
})

describe('who has sent it', () => {
  test('somebody else', async () => {
    const id = await talk.say(ADA, OURS, { type: 'text', text: 'hi' })
    expect(flagsOf(await talk.viewOf(id))).toEqual({ status: 'received' })
    expect(flagsOf(await talk.eventOf(id))).toEqual({
      event: 'message.received',
      fromMe: false,
      viaApi: false,
      offline: false,
    })
  })

  test('we, by the API', async () => {
    const { messageId } = await talk.send('text', ADA, { text: 'hi' })
    expect(await talk.viewOf(messageId)).toMatchObject({ from: 'me', viaApi: true })
    const delivered = await talk.eventOf(messageId, 'message.delivered')
    expect(flagsOf(delivered)).toEqual({ event: 'message.delivered', fromMe: true, viaApi: true })
    const names = (await talk.told()).filter((told) => told.messageId === messageId).map(({ event }) => event)
    expect(names.slice(0, 3)).toEqual(['message.queued', 'message.sent', 'message.delivered'])
  })

  test('we, from our phone and from another device of ours; receipts follow', async () => {
    const twin = await talk.link(OURS)
    const fromPhone = await talk.say(OURS, ADA, { type: 'text', text: 'from the phone' })
    const said = await twin.sock.sendMessage(`${ADA}@s.whatsapp.net`, { text: 'from a device' })
    const fromDevice = said?.key.id ?? ''
    for (const [id, text] of [
      [fromPhone, 'from the phone'],
      [fromDevice, 'from a device'],
    ] as const) {
      expect(await talk.viewOf(id)).toMatchObject({ from: 'me', to: ADA, text, viaApi: false })
      const sent = await talk.eventOf(id, 'message.sent')
      expect(sent).toMatchObject({ fromMe: true, viaApi: false, offline: false, text, to: ADA })
      await talk.app.ok('POST', `/sandbox/phones/${ADA}/read`, { body: { messageId: id } })
      expect((await talk.viewOf(id, ({ status }) => status === 'read')).viaApi).toBe(false)
      const names = (await talk.told()).filter((told) => told.messageId === id).map(({ event }) => event)
      expect(names.filter((name) => name === 'message.sent')).toHaveLength(1)
      expect(names).not.toContain('message.received')
    }
    // What the API sends reaches that device as its own, and comes back to us no second time.
    const { messageId } = await talk.send('text', ADA, { text: 'by the API' })
    expect((await twin.untilMessage(({ key }) => key.id === messageId)).key.fromMe).toBe(true)
    await twin.close()
  })
})

describe('while the session was stopped', () => {
  test('everything that came is offline, in its order; what comes afterwards is not', async () => {
    const target = await talk.say(ADA, OURS, { type: 'text', text: 'before' })
    await talk.viewOf(target)
    await talk.app.ok('POST', `/api/sessions/${talk.session}/stop`)
    await talk.app.until(talk.session, ({ status }) => status === 'inactive')
    const received = [
      await talk.say(ADA, OURS, { type: 'text', text: 'one' }),
      await talk.say(ADA, OURS, { type: 'image', base64: picture.toString('base64') }),
      await talk.say(BOB, OURS, { type: 'poll', question: 'Q?', options: ['a', 'b'] }),
    ]
    const reaction = await talk.say(ADA, OURS, { type: 'reaction', targetMessageId: target, emoji: '👀' })
    const own = await talk.say(OURS, ADA, { type: 'text', text: 'from the phone' })
    await talk.app.ok('POST', `/api/sessions/${talk.session}/start`)
    for (const id of received) {
      expect(await talk.viewOf(id)).toMatchObject({ offline: true, status: 'received' })
      expect(await talk.eventOf(id)).toMatchObject({ event: 'message.received', offline: true })
    }
    expect(await talk.eventOf(reaction)).toMatchObject({ event: 'message.reaction', offline: true })
    expect(await talk.viewOf(own)).toMatchObject({ offline: true, from: 'me', viaApi: false })
    expect(await talk.eventOf(own)).toMatchObject({ event: 'message.sent', offline: true, fromMe: true })
    const order = (await talk.told()).map(({ messageId }) => messageId)
    const places = [received[0], received[1], reaction].map((id) => order.indexOf(id))
    expect(places).toEqual(places.toSorted((a, b) => a - b))

    await talk.app.until(talk.session, ({ status }) => status === 'connected')
    const after = await talk.say(ADA, OURS, { type: 'text', text: 'two' })
    expect(await talk.viewOf(after)).not.toHaveProperty('offline')
    expect((await talk.eventOf(after)).offline).toBe(false)
  })
})

describe('what the phone hands over when it is linked', () => {
  const OTHER = '4915144444901'
  let session: string
  const ids: Record<string, string> = {}
  const eventsOf = async (): Promise<Told[]> =>
    (await talk.told()).filter(({ sessionId }) => sessionId === session)
  const viewOf = (id: string) =>
    eventually<View>(`message ${id}`, async () => {
      const answer = await talk.app.call<{ message: View }>('GET', `/api/messages/${session}/${id}`)
      return answer.status === 200 ? answer.body.message : null
    })

  beforeAll(async () => {
    await talk.app.phone(OTHER, 'Other')
    for (let n = 0; n < 45; n++) {
      ids[`old ${n}`] = await talk.say(ADA, OTHER, { type: 'text', text: `old words ${n}` })
    }
    ids.image = await talk.say(BOB, OTHER, {
      type: 'image',
      base64: picture.toString('base64'),
      caption: 'Zugspitze',
      mimetype: 'image/jpeg',
    })
    ids.own = await talk.say(OTHER, BOB, { type: 'text', text: 'our own words' })
    ids.poll = await talk.say(BOB, OTHER, { type: 'poll', question: 'Lunch?', options: ['pizza', 'salad'] })
    ids.gone = await talk.say(BOB, OTHER, { type: 'text', text: 'a slip of the tongue' })
    await talk.shownAt(OTHER, ids.gone)
    await talk.say(BOB, OTHER, { type: 'delete', targetMessageId: ids.gone })
    await talk.say(BOB, OTHER, { type: 'vote', targetMessageId: ids.poll, options: ['salad'] })
    await talk.say(BOB, OTHER, { type: 'reaction', targetMessageId: ids.own, emoji: '👍' })
    ids.edited = await talk.say(BOB, OTHER, { type: 'text', text: 'befor' })
    await talk.shownAt(OTHER, ids.edited)
    await talk.say(BOB, OTHER, { type: 'edit', targetMessageId: ids.edited, text: 'before' })
    await talk.shownAt(OTHER, ids.edited, ({ edited }) => edited)
    await talk.app.ok('POST', `/sandbox/phones/${OTHER}/star`, { body: { messageId: ids.image } })

    session = await talk.app.session('With a past')
    await talk.app.ok('POST', `/api/sessions/${session}/start`)
    const { qrText } = await talk.app.ok<{ qrText: string }>('GET', `/api/sessions/${session}/qr`)
    await talk.app.ok('POST', `/sandbox/phones/${OTHER}/scan`, { body: { qr: qrText } })
    await eventually('end of the history', async () =>
      (await eventsOf()).some(({ event, progress }) => event === 'history.synced' && progress === 100)
        ? true
        : null,
    )
  })

  test('is stored, marked as history', async () => {
    for (const id of [ids['old 0'], ids['old 44'], ids.image, ids.poll]) {
      expect(await viewOf(id ?? '')).toMatchObject({ history: true, status: 'received' })
    }
    expect(await viewOf(ids.own ?? '')).toMatchObject({ history: true, from: 'me', viaApi: false })
    expect(await viewOf(ids['old 0'] ?? '')).toMatchObject({ text: 'old words 0', from: ADA, chat: ADA })
  })

  test('with what has become of it', async () => {
    expect((await viewOf(ids.own ?? '')).reactions).toEqual([
      { emoji: '👍', from: BOB, timestamp: expect.any(String) },
    ])
    expect((await viewOf(ids.poll ?? '')).votes).toEqual([
      { option: 'pizza', count: 0, voters: [] },
      { option: 'salad', count: 1, voters: [BOB] },
    ])
    expect(await viewOf(ids.edited ?? '')).toMatchObject({ text: 'before' })
    expect(await viewOf(ids.image ?? '')).toMatchObject({ starred: true, caption: 'Zugspitze' })
    const gone = await talk.app.call('GET', `/api/messages/${session}/${ids.gone}`)
    expect(JSON.stringify(gone.body)).not.toContain('tongue')
  })

  test('nobody is told of its messages, only of its pieces', async () => {
    const events = await eventsOf()
    const names = new Set(events.map(({ event }) => event))
    for (const name of [
      'message.received',
      'message.sent',
      'message.reaction',
      'message.edited',
      'message.deleted',
      'message.poll_vote',
      'status.received',
    ]) {
      expect(names).not.toContain(name)
    }
    const pieces = events.filter(({ event }) => event === 'history.synced')
    // Latest messages, names, and what is older.
    expect(pieces).toHaveLength(3)
    const messages = pieces.reduce((sum, piece) => sum + Number(piece.messages), 0)
    // All but what was taken back, and a reaction and a vote beside them.
    expect(messages).toBe(Object.keys(ids).length + 1)
    const steps = pieces.map(({ progress }) => Number(progress))
    expect(steps).toEqual(steps.toSorted((a, b) => a - b))
  })

  test('is found by its words, and stands in the history', async () => {
    const found = await talk.app.ok<{ messages: { id: string }[] }>(
      'GET',
      `/api/messages/history/${session}?search=zugspitze`,
    )
    expect(found.messages.map(({ id }) => id)).toEqual([ids.image ?? ''])
    const old = await talk.app.ok<{ messages: { id: string }[] }>(
      'GET',
      `/api/messages/history/${session}?search=${encodeURIComponent('old words')}&limit=100`,
    )
    expect(old.messages.map(({ id }) => id).toSorted()).toEqual(
      Object.entries(ids)
        .filter(([name]) => name.startsWith('old'))
        .map(([, id]) => id)
        .toSorted(),
    )
  })

  test('counts in no statistics', async () => {
    const { stats } = await talk.app.ok<{ stats: Fields }>('GET', `/api/messages/stats/${session}`)
    expect(stats).toMatchObject({ sent: 0, received: 0 })
    const { session: shown } = await talk.app.ok<{ session: Fields }>('GET', `/api/sessions/${session}`)
    expect(JSON.stringify(shown)).toContain('"received":0')
  })

  test('its files can be had', async () => {
    const response = await fetch(`${talk.app.url}/api/messages/${session}/${ids.image}/media`, {
      headers: { 'x-api-key': OWNER_KEY },
    })
    expect(response.status).toBe(200)
    expect(Buffer.from(await response.arrayBuffer()).equals(picture)).toBe(true)
  })

  test('and it can be answered, reacted to, voted on and sent on', async () => {
    const send = (type: string, body: Fields) =>
      talk.app.ok<{ messageId: string }>('POST', `/api/messages/send/${type}`, {
        body: { sessionId: session, ...body },
      })
    const answer = await send('text', { to: ADA, text: 'so long ago', quotedMessageId: ids['old 3'] })
    expect((await talk.shownAt(ADA, answer.messageId)).content).toMatchObject({
      quotedMessageId: ids['old 3'],
    })
    await send('reaction', { targetMessageId: ids['old 3'], emoji: '🕰' })
    await talk.shownAt(ADA, ids['old 3'] ?? '', ({ reactions }) => reactions.length === 1)
    await send('vote', { targetMessageId: ids.poll, options: ['pizza'] })
    await talk.shownAt(BOB, ids.poll ?? '', ({ votes }) =>
      votes.some(({ options }) => String(options) === 'pizza'),
    )
    const forward = await send('forward', { to: ADA, messageId: ids.image })
    expect((await talk.fileAt(ADA, forward.messageId)).equals(picture)).toBe(true)
  })
})
