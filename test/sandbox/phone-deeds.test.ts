/** What messages do to earlier ones: a phone does it, shows it, and refuses it from those who may not. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { decryptPollVote, proto, type WAMessage } from '@whiskeysockets/baileys'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import { openAnswer, openVote, optionHash, sealAnswer, sealVote } from '../../src/sandbox/content-votes'
import type { Phone } from '../../src/sandbox/phone'
import { type BaileysClient, pairWithBaileys, startSandbox, type TestSandbox } from '../harness/sandbox'

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let eve: Phone
let adas: BaileysClient
let bobs: BaileysClient
let group: string

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917100000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917100000002', name: 'Bob' })
  eve = sandbox.addPhone({ phoneNumber: '4917100000003', name: 'Eve' })
  adas = await pairWithBaileys(sandbox, ada)
  bobs = await pairWithBaileys(sandbox, bob)
  const members = [ada.phoneNumber, eve.phoneNumber]
  group = (await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'All', members })).jid
})
afterAll(async () => {
  await adas.close()
  await bobs.close()
  await sandbox.stop()
})

const base64 = Buffer.from('file').toString('base64')
const raw = (message: proto.IMessage): PhoneContent => ({
  type: 'raw',
  base64: Buffer.from(proto.Message.encode(proto.Message.fromObject(message)).finish()).toString('base64'),
})
/** Bob says something, and Ada has it. */
async function said(content: PhoneContent, to = ada.phoneNumber): Promise<string> {
  const { id } = await bob.send(to, content)
  await ada.waitForMessage((message) => message.id === id)
  return id
}
const arrived = (phone: Phone, { id }: { id: string }) => phone.waitForMessage((message) => message.id === id)
const heardBy = (client: BaileysClient, { id }: { id: string }): Promise<WAMessage> =>
  client.untilMessage(({ key }) => key.id === id)

describe.each(['1:1', 'group'])('in a chat (%s)', (where) => {
  const inGroup = where === 'group'
  const to = () => (inGroup ? group : ada.phoneNumber)
  const back = () => (inGroup ? group : bob.phoneNumber)

  test('a reaction shows on its message, is replaced and taken back', async () => {
    const id = await said({ type: 'text', text: 'nice?' }, to())
    for (const [emoji, shown] of [
      ['👍', ['👍']],
      ['❤️', ['❤️']],
      ['', []],
    ] as const) {
      const sent = await ada.send(back(), { type: 'reaction', emoji, targetMessageId: id })
      const there = (phone: Phone) =>
        phone.waitUntilShown(
          id,
          ({ reactions }) => JSON.stringify(reactions.map((each) => each.emoji)) === JSON.stringify(shown),
        )
      expect((await there(bob)).reactions.map(({ from }) => from)).toEqual(shown.map(() => ada.jid))
      await there(ada)
      expect((await heardBy(bobs, sent)).message?.reactionMessage).toMatchObject({ text: emoji })
    }
  })

  test('an edit changes the words of a text and the caption of a file', async () => {
    const rows: [PhoneContent, string][] = [
      [{ type: 'text', text: 'teh', mentions: [ada.phoneNumber] }, 'text'],
      [{ type: 'image', base64, caption: 'teh' }, 'caption'],
      [{ type: 'document', base64, filename: 'a', caption: 'teh' }, 'caption'],
    ]
    for (const [content, field] of rows) {
      const id = await said(content, to())
      const sent = await bob.send(to(), { type: 'edit', text: 'the', targetMessageId: id })
      for (const phone of [ada, bob]) {
        const shown = await phone.waitUntilShown(id, ({ edited }) => edited)
        expect(shown.content).toMatchObject({ type: content.type, [field]: 'the' })
      }
      if (content.type !== 'text') expect(await ada.download(id)).toEqual(Buffer.from('file'))
      const { message } = await heardBy(adas, sent)
      expect(message?.editedMessage?.message?.protocolMessage).toMatchObject({ type: 14, key: { id } })
      expect((await heardBy(bobs, sent)).key.fromMe).toBe(true)
    }
  })

  test('a deletion leaves nothing of its message', async () => {
    const id = await said({ type: 'image', base64, caption: 'oops' }, to())
    await ada.send(back(), { type: 'reaction', emoji: '😮', targetMessageId: id })
    await bob.waitUntilShown(id, ({ reactions }) => reactions.length === 1)
    const sent = await bob.send(to(), { type: 'delete', targetMessageId: id })
    for (const phone of [ada, bob]) {
      const shown = await phone.waitUntilShown(id, ({ deleted }) => deleted)
      expect(shown).toMatchObject({ content: { type: 'image' }, reactions: [] })
      await expect(phone.download(id)).rejects.toThrow(id)
    }
    expect((await heardBy(adas, sent)).message?.protocolMessage?.key?.id).toBe(id)
    // What is gone can be neither acted on nor quoted nor sent on.
    for (const content of [
      { type: 'reaction', emoji: 'x', targetMessageId: id },
      { type: 'text', text: 'x', quotedMessageId: id },
      { type: 'forward', messageId: id },
    ] satisfies PhoneContent[])
      await expect(ada.send(back(), content)).rejects.toThrow(id)
  })

  test('a pin is put up and taken down', async () => {
    const id = await said({ type: 'text', text: 'rules' }, to())
    const sent = await ada.send(back(), { type: 'pin', targetMessageId: id, seconds: 86_400 })
    expect((await arrived(bob, sent)).content).toMatchObject({ type: 'pin', pinned: true, seconds: 86_400 })
    for (const phone of [ada, bob]) await phone.waitUntilShown(id, ({ pinned }) => pinned)
    await ada.send(back(), { type: 'pin', targetMessageId: id, pinned: false })
    for (const phone of [ada, bob]) await phone.waitUntilShown(id, ({ pinned }) => !pinned)
  })

  test('votes are opened and counted, by voter and option', async () => {
    const id = await said({ type: 'poll', question: 'Tea?', options: ['yes', 'no', 'maybe'] }, to())
    const sent = await ada.send(back(), { type: 'vote', targetMessageId: id, options: ['yes', 'maybe'] })
    await bob.send(to(), { type: 'vote', targetMessageId: id, options: ['yes'] })
    for (const phone of [ada, bob]) {
      const shown = await phone.waitUntilShown(id, ({ votes }) => votes.length === 2)
      expect(shown.tally).toEqual({ yes: 2, no: 0, maybe: 1 })
      expect(Object.fromEntries(shown.votes.map(({ from, options }) => [from, options]))).toEqual({
        [ada.jid]: ['yes', 'maybe'],
        [bob.jid]: ['yes'],
      })
    }
    expect((await arrived(bob, sent)).content).toMatchObject({ type: 'vote', options: ['yes', 'maybe'] })
    await ada.send(back(), { type: 'vote', targetMessageId: id, options: [] })
    for (const phone of [ada, bob]) {
      const shown = await phone.waitUntilShown(id, ({ votes }) => votes.length === 1)
      expect(shown.tally).toEqual({ yes: 1, no: 0, maybe: 0 })
    }
    // Baileys' own reading of the same vote, with the secret that its client has.
    const poll = (await heardBy(adas, { id })).message
    const vote = (await heardBy(bobs, sent)).message?.pollUpdateMessage?.vote
    const opened = decryptPollVote(vote ?? {}, {
      pollCreatorJid: bob.lid,
      pollMsgId: id,
      pollEncKey: poll?.messageContextInfo?.messageSecret ?? Buffer.alloc(32),
      voterJid: ada.lid,
    })
    expect((opened.selectedOptions ?? []).map((hash) => Buffer.from(hash).toString('hex'))).toEqual(
      ['yes', 'maybe'].map((option) => optionHash(option).toString('hex')),
    )
  })

  test('an album is a parent with its pictures and films', async () => {
    const items = [
      { type: 'image', base64, caption: 'one' },
      { type: 'video', base64 },
      { type: 'image', base64 },
    ] satisfies PhoneContent[]
    const { id, content } = await bob.send(to(), { type: 'album', items: [...items] })
    expect(content).toEqual({ type: 'album', images: 2, videos: 1 })
    await ada.waitForMessage((message) => message.id === id)
    await ada.settled()
    const children = ada.messages().filter((message) => message.content.albumId === id)
    expect(children.map((message) => message.content.type)).toEqual(['image', 'video', 'image'])
    const child = await heardBy(adas, { id: children[2]?.id ?? '' })
    expect(child.message?.messageContextInfo?.messageAssociation).toMatchObject({
      associationType: 1,
      parentMessageKey: { id },
    })
  })

  test('a message is sent on without its first place, once more forwarded each time', async () => {
    const quoted = await said({ type: 'text', text: 'first' }, to())
    const id = await said({ type: 'image', base64, caption: 'pass on', quotedMessageId: quoted }, to())
    const once = await arrived(eve, await ada.send(eve.phoneNumber, { type: 'forward', messageId: id }))
    expect(once.content).toMatchObject({ type: 'image', caption: 'pass on', forwardingScore: 1 })
    expect(once.content.quotedMessageId).toBeUndefined()
    expect(await eve.download(once.id)).toEqual(Buffer.from('file'))
    const twice = await arrived(ada, await eve.send(ada.phoneNumber, { type: 'forward', messageId: once.id }))
    expect(twice.content.forwardingScore).toBe(2)
  })

  test('a quote names its author and words', async () => {
    const id = await said({ type: 'text', text: 'who?' }, to())
    const sent = await ada.send(back(), { type: 'text', text: 'me', quotedMessageId: id })
    const quoted = { messageId: id, from: bob.lid, type: 'text', text: 'who?' }
    expect((await arrived(bob, sent)).content).toMatchObject({ quotedMessageId: id, quoted })
    const again = await bob.send(to(), { type: 'text', text: 'I?', quotedMessageId: id })
    expect((await arrived(ada, again)).content).toMatchObject({ quoted })
    expect((await heardBy(adas, again)).message?.extendedTextMessage?.contextInfo).toMatchObject({
      participant: bob.lid,
      stanzaId: id,
    })
  })

  test.each([
    [
      'buttons',
      { type: 'buttons', text: 'a or b', buttons: [{ id: 'a', text: 'A' }] },
      'buttonsResponseMessage',
    ],
    [
      'template',
      { type: 'buttons', text: 'a or b', buttons: [{ id: 'a', text: 'A' }], format: 'template' },
      'templateButtonReplyMessage',
    ],
    [
      'interactive',
      { type: 'buttons', text: 'a or b', buttons: [{ id: 'a', text: 'A' }], format: 'interactive' },
      'interactiveResponseMessage',
    ],
    [
      'list',
      { type: 'list', text: 'x', buttonText: 'y', sections: [{ rows: [{ id: 'a', title: 'A' }] }] },
      'listResponseMessage',
    ],
  ] satisfies [string, PhoneContent, keyof proto.IMessage][])(
    'a choice from %s answers in its form',
    async (_, question, field) => {
      const id = await said(question, to())
      const sent = await ada.send(back(), { type: 'choice', choiceId: 'a', text: 'A', targetMessageId: id })
      const got = await arrived(bob, sent)
      expect(got).toMatchObject({
        kind: field,
        content: { type: 'choice', choiceId: 'a', text: 'A', targetMessageId: id },
      })
      expect((await heardBy(bobs, sent)).message?.[field]).toBeTruthy()
    },
  )
})

describe('a phone refuses', () => {
  /** The same message as an honest one would be, from somebody who may not. */
  const key = (id: string) => ({ remoteJid: group, fromMe: true, id })

  test.each([
    [
      'an edit by another',
      (id: string) =>
        raw({ protocolMessage: { key: key(id), type: 14, editedMessage: { conversation: 'hacked' } } }),
      'only its author',
    ],
    [
      'a deletion by another who is no admin',
      (id: string) => raw({ protocolMessage: { key: key(id), type: 0 } }),
      'only its author or an admin',
    ],
    [
      'a vote on what is no poll',
      (id: string) => raw({ pollUpdateMessage: { pollCreationMessageKey: key(id), vote: {} } }),
      'no poll',
    ],
  ])('%s', async (_, forged, reason) => {
    const id = await said({ type: 'text', text: 'mine' }, group)
    await eve.waitForMessage((message) => message.id === id)
    const sent = await eve.send(group, forged(id))
    expect((await arrived(ada, sent)).refused).toContain(reason)
    expect(ada.message(id)).toMatchObject({
      content: { text: 'mine' },
      edited: false,
      deleted: false,
      votes: [],
    })
  })

  test('what comes from another chat', async () => {
    const id = await said({ type: 'text', text: 'between us' })
    const forged = raw({ reactionMessage: { key: { remoteJid: ada.jid, fromMe: false, id }, text: '👎' } })
    const sent = await eve.send(ada.phoneNumber, forged)
    await arrived(ada, sent)
    expect(ada.message(id)?.reactions).toEqual([])
    // Control: the same from the right chat.
    await arrived(ada, await bob.send(ada.phoneNumber, forged))
    expect(ada.message(id)?.reactions).toMatchObject([{ emoji: '👎', from: bob.jid }])
  })

  test('to take a message for another that came first under its id', async () => {
    const { id } = await bob.send(group, 'true')
    await eve.waitForMessage((message) => message.id === id)
    await adas.sock.sendMessage(group, { text: 'false' }, { messageId: id })
    await eve.waitForMessage(({ content }) => content.text === 'false')
    const theft = await adas.sock.sendMessage(group, {
      text: 'falser',
      edit: { remoteJid: group, fromMe: true, id },
    })
    expect((await arrived(eve, { id: theft?.key.id ?? '' })).refused).toContain('only its author')
    // Control: the author's own edit.
    await arrived(eve, await bob.send(group, { type: 'edit', text: 'truer', targetMessageId: id }))
    expect(eve.message(id)).toMatchObject({ from: bob.jid, edited: true, content: { text: 'truer' } })
  })

  test('votes sealed by another, for another poll, or for too many options', async () => {
    const poll: PhoneContent = { type: 'poll', question: 'One?', options: ['a', 'b'], selectable: 1 }
    const [id, other] = [await said(poll, group), await said(poll, group)]
    await eve.waitForMessage((message) => message.id === other)
    const secretOf = async (each: string) =>
      (await heardBy(adas, { id: each })).message?.messageContextInfo?.messageSecret ?? new Uint8Array()
    const ballot = { secret: await secretOf(id), targetId: id, creator: bob.lid, voter: eve.lid }
    const cast = async (changed: Partial<typeof ballot>, options: string[]) => {
      const vote = sealVote({ ...ballot, ...changed }, options)
      const sent = await eve.send(
        group,
        raw({ pollUpdateMessage: { pollCreationMessageKey: key(id), vote } }),
      )
      return (await arrived(ada, sent)).refused
    }
    expect(await cast({ voter: ada.lid }, ['a'])).toContain('sealed')
    expect(await cast({ secret: await secretOf(other) }, ['a'])).toContain('sealed')
    expect(await cast({ targetId: other }, ['a'])).toContain('sealed')
    expect(await cast({}, ['a', 'b'])).toContain('so many')
    expect(await cast({}, ['c'])).toContain('no such option')
    expect(ada.message(id)?.votes).toEqual([])
    // Control: sealed as it should be, by LID and by number.
    expect(await cast({}, ['a'])).toBeUndefined()
    expect(await cast({ voter: eve.jid, creator: bob.jid }, ['b'])).toBeUndefined()
    expect(ada.message(id)?.tally).toEqual({ a: 0, b: 1 })
  })

  test('answers to events that are forged, too late, or bring guests that nobody may bring', async () => {
    const party = { type: 'event', name: 'A party', startsAt: '2030-01-01T00:00:00.000Z' } as const
    const id = await said(party, group)
    const open = await said({ ...party, guestsAllowed: true }, group)
    const off = await said({ ...party, canceled: true }, group)
    await eve.waitForMessage((message) => message.id === off)
    const heard = await heardBy(adas, { id })
    const secret = heard.message?.messageContextInfo?.messageSecret ?? new Uint8Array()
    const ballot = { secret, targetId: id, creator: bob.lid, voter: ada.lid }
    const forged = {
      encEventResponseMessage: {
        eventCreationMessageKey: key(id),
        ...sealAnswer(ballot, { response: 'going' }, Date.now()),
      },
    }
    expect((await arrived(ada, await eve.send(group, raw(forged)))).refused).toContain('sealed')
    const answer = async (targetMessageId: string, more: { extraGuests?: number } = {}) =>
      arrived(ada, await eve.send(group, { type: 'rsvp', response: 'going', targetMessageId, ...more }))
    expect((await answer(off)).refused).toContain('canceled')
    expect((await answer(id, { extraGuests: 1 })).refused).toContain('brought along')
    expect(ada.message(id)?.responses).toEqual([])
    // Control: what may be.
    expect((await answer(id)).refused).toBeUndefined()
    expect((await answer(open, { extraGuests: 1 })).refused).toBeUndefined()
    expect(ada.message(open)?.responses).toMatchObject([{ from: eve.jid, response: 'going', extraGuests: 1 }])
    await arrived(ada, await eve.send(group, { type: 'rsvp', response: 'maybe', targetMessageId: open }))
    expect(ada.message(open)?.responses).toMatchObject([{ from: eve.jid, response: 'maybe', extraGuests: 0 }])
  })

  test('a reaction that its sender made before the one that is there', async () => {
    const id = await said({ type: 'text', text: 'late' })
    const react = async (text: string, senderTimestampMs: number) => {
      const reactionMessage = { key: { remoteJid: ada.lid, fromMe: true, id }, text, senderTimestampMs }
      return arrived(ada, await bob.send(ada.phoneNumber, raw({ reactionMessage })))
    }
    expect((await react('2', 2000)).refused).toBeUndefined()
    expect((await react('1', 1000)).refused).toContain('a later reaction')
    expect(ada.message(id)?.reactions).toMatchObject([{ emoji: '2', at: 2000 }])
    // Control: one that was made after it.
    expect((await react('3', 3000)).refused).toBeUndefined()
    expect(ada.message(id)?.reactions).toMatchObject([{ emoji: '3', at: 3000 }])
  })

  test('to say what points to nothing it knows', async () => {
    for (const content of [
      { type: 'vote', targetMessageId: 'NONE', options: [] },
      { type: 'edit', targetMessageId: 'NONE', text: 'x' },
      { type: 'text', text: 'x', quotedMessageId: 'NONE' },
      { type: 'forward', messageId: 'NONE' },
    ] satisfies PhoneContent[])
      await expect(bob.send(ada.phoneNumber, content)).rejects.toThrow('NONE')
  })
})

test('an admin deletes what others said, and only an admin', async () => {
  const { id } = await eve.send(group, { type: 'text', text: 'rude' })
  await ada.waitForMessage((message) => message.id === id)
  const deletion = { type: 'delete', targetMessageId: id } as const
  await expect(ada.send(group, deletion)).rejects.toThrow('refused')
  expect(ada.message(id)?.deleted).toBe(false)
  const sent = await bob.send(group, deletion)
  for (const phone of [ada, eve]) await phone.waitUntilShown(id, ({ deleted }) => deleted)
  const stanza = sandbox.server.log
    .entries({ phoneNumber: bob.phoneNumber, tag: 'message' })
    .find((entry) => entry.direction === 'in' && entry.stanza.attrs.id === sent.id)
  expect(stanza?.stanza.attrs.edit).toBe('8')
})

test('what was done to a message before it came is done when it comes', async () => {
  const id = '0'.repeat(32)
  const reaction = raw({ reactionMessage: { key: { remoteJid: bob.lid, fromMe: true, id }, text: '👍' } })
  await arrived(ada, await bob.send(ada.phoneNumber, reaction))
  await bobs.sock.sendMessage(ada.jid, { text: 'late' }, { messageId: id })
  await ada.waitForMessage((message) => message.id === id)
  expect(ada.message(id)?.reactions).toMatchObject([{ emoji: '👍', from: bob.jid }])
})

test('a sealed vote opens for nobody else (control: it opens for its poll and voter)', () => {
  const ballot = { secret: Buffer.alloc(32, 1), targetId: 'P', creator: 'c@lid', voter: 'v@lid' }
  const vote = sealVote(ballot, ['x'])
  expect(openVote(ballot, vote)).toEqual([optionHash('x')])
  for (const changed of [
    { targetId: 'Q' },
    { creator: 'd@lid' },
    { voter: 'w@lid' },
    { secret: Buffer.alloc(32) },
  ]) {
    expect(openVote({ ...ballot, ...changed }, vote)).toBeNull()
  }
  expect(openVote(ballot, {})).toBeNull()
  const answer = sealAnswer(ballot, { response: 'maybe', extraGuests: 2 }, 1)
  expect(openAnswer(ballot, answer)).toEqual({ response: 'maybe', extraGuests: 2 })
  expect(openAnswer(ballot, vote)).toBeNull()
  expect(openVote(ballot, answer)).toBeNull()
})

test('the server is told, in the clear, what kind of thing is done', async () => {
  const id = await said({ type: 'poll', question: 'Tea?', options: ['yes', 'no'] })
  const rows: [PhoneContent, Record<string, string>, string?][] = [
    [{ type: 'reaction', emoji: '👍', targetMessageId: id }, { type: 'reaction' }],
    [{ type: 'vote', options: ['yes'], targetMessageId: id }, { type: 'poll' }, 'meta'],
    [
      { type: 'pin', targetMessageId: id },
      { type: 'text', edit: '2' },
    ],
    [
      { type: 'edit', text: 'x', targetMessageId: id },
      { type: 'text', edit: '1' },
    ],
    [
      { type: 'delete', targetMessageId: id },
      { type: 'text', edit: '7' },
    ],
  ]
  for (const [content, attrs, child] of rows) {
    const sent = await bob.send(ada.phoneNumber, content)
    const stanza = sandbox.server.log
      .entries({ phoneNumber: bob.phoneNumber, tag: 'message' })
      .find((entry) => entry.direction === 'in' && entry.stanza.attrs.id === sent.id)?.stanza
    expect(stanza?.attrs).toMatchObject(attrs)
    expect(stanza?.attrs.edit).toBe(attrs.edit as string)
    expect(stanza?.children?.map(({ tag }) => tag)).toEqual(['participants', ...(child ? [child] : [])])
    // What nobody would miss is not asked for again with a placeholder.
    expect(JSON.stringify(stanza)).toContain('"decrypt-fail":"hide"')
  }
  const plain = await bob.send(ada.phoneNumber, 'text')
  const stanza = sandbox.server.log
    .entries({ phoneNumber: bob.phoneNumber, tag: 'message' })
    .find((entry) => entry.stanza.attrs.id === plain.id)?.stanza
  expect(JSON.stringify(stanza)).not.toContain('decrypt-fail')
})

test('accounts that still go by number name people by number', async () => {
  const [max, zoe] = ['4917100000004', '4917100000005'].map((phoneNumber) =>
    sandbox.addPhone({ phoneNumber, name: phoneNumber, addressing: 'pn' }),
  ) as [Phone, Phone]
  const client = await pairWithBaileys(sandbox, zoe)
  try {
    const poll = await max.send(zoe.phoneNumber, { type: 'poll', question: 'Tea?', options: ['yes', 'no'] })
    const { key, message } = await heardBy(client, poll)
    expect(key.remoteJid).toBe(max.jid)
    await zoe.waitForMessage(({ id }) => id === poll.id)
    const vote = await zoe.send(max.phoneNumber, { type: 'vote', targetMessageId: poll.id, options: ['no'] })
    expect((await max.waitUntilShown(poll.id, ({ votes }) => votes.length === 1)).tally).toEqual({
      yes: 0,
      no: 1,
    })
    const own = await heardBy(client, vote)
    expect(own.message?.pollUpdateMessage?.pollCreationMessageKey).toMatchObject({
      remoteJid: max.jid,
      fromMe: false,
    })
    const opened = decryptPollVote(own.message?.pollUpdateMessage?.vote ?? {}, {
      pollCreatorJid: max.jid,
      pollMsgId: poll.id,
      pollEncKey: message?.messageContextInfo?.messageSecret ?? Buffer.alloc(32),
      voterJid: zoe.jid,
    })
    expect(opened.selectedOptions).toHaveLength(1)
    await zoe.send(max.phoneNumber, { type: 'reaction', emoji: '🍵', targetMessageId: poll.id })
    await max.waitUntilShown(poll.id, ({ reactions }) => reactions[0]?.from === zoe.jid)
  } finally {
    await client.close()
  }
})
