import { describe, expect, test } from 'bun:test'
import {
  ACTION_TYPES,
  ASK_TYPES,
  ASKS,
  ContentSchema,
  MESSAGE_TYPES,
  wordsOf,
} from '../../src/domain/content'

/** Names that views and events have for themselves; content stands flat beside them. */
const TAKEN = [
  'id cursor event sessionId timestamp messageId from to chat status fromMe viaApi offline history',
  'lid phoneNumber contact quoted mentions sentAt code error senderName reactions votes',
  'editedAt deletedAt starred pinnedUntil albumId audience forwarded forwardingScore mentionsAll',
  'disappearingSeconds variables queue sendAt ttl quotedMessageId',
].flatMap((names) => names.split(' '))

describe('the content union', () => {
  test.each(ContentSchema.anyOf.map((schema) => [schema.properties.type.const, schema] as const))(
    '%s has no field that would hide one of its surroundings',
    (_, schema) => {
      expect(Object.keys(schema.properties).filter((name) => TAKEN.includes(name))).toEqual([])
    },
  )

  test('an ask that is a type of its own becomes that type, with the same field names', () => {
    for (const type of ASK_TYPES) {
      if (type === 'forward') continue
      const told = ContentSchema.anyOf.find((schema) => schema.properties.type.const === type)
      const fields = Object.keys(ASKS[type].properties)
      const other = fields.filter((name) => !Object.hasOwn(told?.properties ?? {}, name))
      // What a file comes from is not told, and one card may stand for a list.
      expect(
        other.filter((name) => !/Url$|Base64$|^(uploadId|filename|mimetype|contact|items)$/.test(name)),
      ).toEqual([])
    }
  })

  test('types are told once, actions among them', () => {
    expect(new Set(MESSAGE_TYPES).size).toBe(MESSAGE_TYPES.length)
    expect(ACTION_TYPES.filter((type) => !MESSAGE_TYPES.includes(type))).toEqual([])
  })

  test('the words of a message are what people would search for', () => {
    const media = { mimetype: null, size: null }
    expect(wordsOf({ type: 'text', text: 'a' })).toBe('a')
    expect(wordsOf({ type: 'image', caption: 'b', media })).toBe('b')
    expect(wordsOf({ type: 'document', media: { ...media, filename: 'c.pdf' } })).toBe('c.pdf')
    expect(wordsOf({ type: 'contact', contacts: [{ fullName: 'D' }, { fullName: 'E' }] })).toBe('D, E')
    expect(wordsOf({ type: 'sticker', media })).toBeNull()
  })
})
