import { describe, expect, test } from 'bun:test'
import { createCipheriv, hkdfSync } from 'node:crypto'
import { decryptEventResponse, decryptPollVote, proto } from '@whiskeysockets/baileys'
import { asJid } from '../../../src/domain/ids'
import { createRecollection, earlierOf } from '../../../src/whatsapp/baileys/content/earlier'
import { answerOf } from '../../../src/whatsapp/baileys/content/event'
import { readContent, type Surroundings } from '../../../src/whatsapp/baileys/content/read'
import { writeContent } from '../../../src/whatsapp/baileys/content/write'
import { context } from '../support/world'
import { EVENT, POLL, pointed } from './samples'

const target = pointed(POLL, { sender: asJid('7@lid') })
const secret = earlierOf(proto.Message.decode(target.raw)).secret ?? new Uint8Array()

const vote = (given: Parameters<typeof context>[0] = {}) =>
  proto.Message.decode(
    writeContent(
      { type: 'vote', targetMessageId: 'TARGET', options: ['later'] },
      context({ target, ...given }),
    ),
  )
const knowing = (given: Partial<Surroundings>): Surroundings => ({
  earlier: (id) => (id === 'TARGET' ? earlierOf(proto.Message.decode(target.raw)) : null),
  authors: ['100@lid'],
  others: [],
  addresses: () => [],
  ...given,
})

describe('votes', () => {
  test('are sealed as Baileys opens them', () => {
    const update = vote().pollUpdateMessage
    const opened = decryptPollVote(update?.vote ?? {}, {
      pollEncKey: secret,
      pollCreatorJid: '7@lid',
      pollMsgId: 'TARGET',
      voterJid: '100@lid',
    })
    expect(opened.selectedOptions?.length).toBe(1)
    expect(update?.pollCreationMessageKey).toMatchObject({ remoteJid: '1@lid', fromMe: false, id: 'TARGET' })
  })

  test('on an own poll are bound to our own address', () => {
    const update = vote({ target: { ...target, fromMe: true, sender: asJid('491@s.whatsapp.net') } })
    const people = { pollEncKey: secret, pollMsgId: 'TARGET', voterJid: '100@lid' }
    expect(() =>
      decryptPollVote(update.pollUpdateMessage?.vote ?? {}, { ...people, pollCreatorJid: '100@lid' }),
    ).not.toThrow()
  })

  test.each<[string, Partial<Surroundings>, boolean]>([
    ['by the key’s chat', { addresses: (jid) => (jid === '1@lid' ? ['1@lid', '7@lid'] : []) }, true],
    ['by the others', { others: ['497@s.whatsapp.net', '7@lid'] }, true],
    [
      'by the voter, under either address',
      { authors: ['49100@s.whatsapp.net', '100@lid'], others: ['7@lid'] },
      true,
    ],
    ['not by somebody else', { others: ['8@lid'] }, false],
    ['not as somebody else', { authors: ['8@lid'], others: ['7@lid'] }, false],
    ['not without the poll', { earlier: () => null, others: ['7@lid'] }, false],
  ])('are opened %s', (_, given, opens) => {
    expect(readContent(vote(), knowing(given))?.content).toEqual(
      opens
        ? { type: 'vote', targetMessageId: 'TARGET', options: ['later'] }
        : { type: 'unknown', kind: 'pollUpdateMessage' },
    )
  })

  test('garbage is no vote', () => {
    for (const encPayload of [Buffer.alloc(0), Buffer.alloc(15), Buffer.alloc(40)]) {
      const message = vote()
      if (message.pollUpdateMessage) message.pollUpdateMessage.vote = { encPayload, encIv: Buffer.alloc(12) }
      expect(readContent(message, knowing({ others: ['7@lid'] }))?.content.type).toBe('unknown')
    }
  })
})

describe('answers to events', () => {
  const event = pointed(EVENT, { sender: asJid('7@lid') })
  const eventSecret = earlierOf(proto.Message.decode(event.raw)).secret ?? new Uint8Array()
  const answer = { type: 'rsvp', targetMessageId: 'TARGET', response: 'maybe', extraGuests: 1 } as const
  const sealed = (given: Parameters<typeof context>[0] = {}) =>
    proto.Message.decode(writeContent(answer, context({ target: event, ...given })))
  const inEvent = (given: Partial<Surroundings>): Surroundings =>
    knowing({ earlier: () => earlierOf(proto.Message.decode(event.raw)), ...given })

  test('are sealed as Baileys opens them', () => {
    const part = sealed().encEventResponseMessage
    const people = { eventEncKey: eventSecret, eventMsgId: 'TARGET', responderJid: '100@lid' }
    const opened = decryptEventResponse(part ?? {}, { ...people, eventCreatorJid: '7@lid' })
    expect(opened).toMatchObject({ response: 3, extraGuestCount: 1 })
    expect(Number(opened.timestampMs)).toBe(1_700_000_000_000)
    expect(part?.eventCreationMessageKey).toMatchObject({ remoteJid: '1@lid', fromMe: false, id: 'TARGET' })
  })

  test.each<[string, Partial<Surroundings>, boolean]>([
    [
      'by either address of the guest',
      { authors: ['49100@s.whatsapp.net', '100@lid'], others: ['7@lid'] },
      true,
    ],
    ['not as somebody else', { authors: ['8@lid'], others: ['7@lid'] }, false],
    ['not without the event', { earlier: () => null, others: ['7@lid'] }, false],
  ])('are opened %s', (_, given, opens) => {
    expect(readContent(sealed(), inEvent(given))?.content).toEqual(
      opens ? answer : { type: 'unknown', kind: 'encEventResponseMessage' },
    )
  })

  test('a vote is no answer, and an answer of no kind is none', () => {
    const { encPayload, encIv } = vote().pollUpdateMessage?.vote ?? {}
    const part = {
      eventCreationMessageKey: { id: 'TARGET' },
      encPayload: encPayload ?? null,
      encIv: encIv ?? null,
    }
    expect(readContent({ encEventResponseMessage: part }, knowing({ others: ['7@lid'] }))?.content.type).toBe(
      'unknown',
    )
    expect(answerOf('TARGET', { response: 0 })).toBeNull()
    expect(answerOf('TARGET', { response: 9 as never })).toBeNull()
  })

  test('can be given to events alone', () => {
    expect(() => sealed({ target })).toThrow('cannot be done')
    expect(() => sealed({ target: pointed({ type: 'text', text: 'x' }) })).toThrow('cannot be done')
  })
})

test('reactions of announcement groups are opened with the secret of their target', () => {
  const info = 'TARGET7@lid100@lidEnc Reaction'
  const key = Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), info, 32))
  const encIv = Buffer.alloc(12, 1)
  const cipher = createCipheriv('aes-256-gcm', key, encIv)
  const plain = proto.Message.ReactionMessage.encode({ text: '🎉' }).finish()
  const encPayload = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  const message = { encReactionMessage: { targetMessageKey: { id: 'TARGET' }, encPayload, encIv } }
  expect(readContent(message, knowing({ others: ['7@lid'] }))?.content).toEqual({
    type: 'reaction',
    emoji: '🎉',
    targetMessageId: 'TARGET',
  })
  expect(readContent(message, knowing({ others: ['8@lid'] }))?.content.type).toBe('unknown')
})

test('comments of announcement groups are opened with the secret of their target', () => {
  const key = Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), 'TARGET7@lid100@lidEnc Comment', 32))
  const encIv = Buffer.alloc(12, 1)
  const cipher = createCipheriv('aes-256-gcm', key, encIv)
  const plain = proto.Message.encode({ extendedTextMessage: { text: 'indeed' } }).finish()
  const encPayload = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  const message = { encCommentMessage: { targetMessageKey: { id: 'TARGET' }, encPayload, encIv } }
  expect(readContent(message, knowing({ others: ['7@lid'] }))?.content).toEqual({
    type: 'comment',
    text: 'indeed',
    targetMessageId: 'TARGET',
  })
  expect(readContent(message, knowing({ others: ['8@lid'] }))?.content.type).toBe('unknown')
})

test('what was just read is remembered, the storage knows the rest, and memory is bounded', () => {
  const asked: string[] = []
  const recollection = createRecollection((id) => {
    asked.push(id)
    return id === 'STORED' ? target.raw : null
  })
  expect(recollection.find('STORED')?.options).toEqual(POLL.options)
  expect(recollection.find('NEVER')).toBeNull()
  recollection.note('NEW', proto.Message.decode(target.raw))
  recollection.note('PLAIN', { conversation: 'no secret' })
  expect(recollection.find('NEW')?.options).toEqual(POLL.options)
  expect(asked).toEqual(['STORED', 'NEVER'])
  for (let index = 0; index < 500; index += 1) recollection.note(`${index}`, proto.Message.decode(target.raw))
  expect(recollection.find('NEW')).toBeNull()
})
