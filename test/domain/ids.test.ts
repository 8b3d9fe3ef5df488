import { expect, test } from 'bun:test'
import {
  asJid,
  parsePhoneNumber,
  parseRecipient,
  partyOf,
  phoneOf,
  shownParty,
  withoutDevice,
} from '../../src/domain/ids'

test('phone numbers are digits, however people write them', () => {
  for (const written of ['+1234567890', '1234567890', '+1 (234) 567-890', '1.234.567.890', ' 1234567890 '])
    expect(parsePhoneNumber(written)).toBe('1234567890')
})

test('what is not a phone number is not made one', () => {
  for (const text of [
    '',
    '+',
    '123456',
    '1234567890123456',
    '12345x7890',
    '++1234567890',
    '١٢٣٤٥٦٧٨٩',
    '1234567+',
  ])
    expect(parsePhoneNumber(text)).toBeNull()
})

test('recipients are numbers or WhatsApp ids', () => {
  expect(parseRecipient('+49 151 1234567')).toBe(asJid('491511234567@s.whatsapp.net'))
  for (const id of [
    '491511234567@s.whatsapp.net',
    '123456789012345@lid',
    '120363000000000000@g.us',
    '4915112345-1600000000@g.us',
    '120363000000000000@newsletter',
    'status@broadcast',
  ])
    expect(parseRecipient(id)).toBe(asJid(id))
  for (const text of ['', 'abc', 'abc@lid', '12:3@s.whatsapp.net', '1@evil.example', '1@lid\n2', '123@c.us'])
    expect(parseRecipient(text)).toBeNull()
})

test('a person is known by what WhatsApp has told, and by nothing else', () => {
  expect(partyOf('1@lid', null, undefined)).toEqual({ lid: asJid('1@lid'), phoneNumber: null })
  expect(partyOf('491511234567:7@s.whatsapp.net', '1:7@lid')).toEqual({
    lid: asJid('1@lid'),
    phoneNumber: '491511234567',
  })
  expect(partyOf('120363@g.us')).toEqual({ lid: null, phoneNumber: null })
})

test('a party is shown by its number when known, else by its LID, never by an invented number', () => {
  expect(shownParty({ lid: asJid('1@lid'), phoneNumber: '491511234567' })).toBe('491511234567')
  expect(shownParty({ lid: asJid('1@lid'), phoneNumber: null })).toBe('1@lid')
  expect(phoneOf('1@lid')).toBeNull()
  expect(phoneOf('491511234567@s.whatsapp.net')).toBe('491511234567')
})

test('the device is not part of a person', () => {
  expect(withoutDevice('49151:12@s.whatsapp.net')).toBe(asJid('49151@s.whatsapp.net'))
  expect(withoutDevice('49151_1:12@lid')).toBe(asJid('49151@lid'))
  expect(withoutDevice('120363@g.us')).toBe(asJid('120363@g.us'))
})
