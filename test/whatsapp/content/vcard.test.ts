import { describe, expect, test } from 'bun:test'
import { readCard, writeCard } from '../../../src/whatsapp/baileys/content/vcard'

describe('cards', () => {
  test('are written as vCard 3.0, with the number that opens a chat', () => {
    const card = writeCard({
      fullName: 'Ann; "A", B\\C\nD',
      phoneNumber: '+49 (170) 000-0001',
      organization: 'A, B',
      email: 'a@example.com',
      url: 'https://example.com/a;b',
    })
    expect(card.split('\n')).toEqual([
      'BEGIN:VCARD',
      'VERSION:3.0',
      'N:;Ann\\; "A"\\, B\\\\C\\nD;;;',
      'FN:Ann\\; "A"\\, B\\\\C\\nD',
      'ORG:A\\, B',
      'TEL;type=CELL;type=VOICE;waid=491700000001:+491700000001',
      'EMAIL:a@example.com',
      'URL:https://example.com/a\\;b',
      'END:VCARD',
    ])
  })

  test('nobody can write a line of their own into a card', () => {
    const card = writeCard({ fullName: 'Eve\r\nTEL;waid=1:+1\rURL:x', phoneNumber: 'x\nEND:VCARD' })
    expect(card.split(/\r|\n/).map((line) => line.split(/[:;]/)[0])).toEqual([
      'BEGIN',
      'VERSION',
      'N',
      'FN',
      'TEL',
      'END',
    ])
  })

  test.each([
    ['TEL;waid=4917:+49 17', { phoneNumber: '4917' }],
    ['item1.TEL;type=CELL;WAID=4917:+49 17\r\nitem1.X-ABLabel:Mobile', { phoneNumber: '4917' }],
    ['TEL;TYPE=home:+49 30 1\nTEL;waid=4917:+49 17', { phoneNumber: '4917' }],
    ['TEL;TYPE=home:+49 30 1', { phoneNumber: '+49 30 1' }],
    ['FN:Long na\r\n me\r\norg:A\\, B;Dept', { fullName: 'Long name', organization: 'A, B, Dept' }],
    ['ORG:Navy\\; Research;', { organization: 'Navy; Research' }],
    ['EMAIL;type=INTERNET:a@b.c\nURL:https://x/y', { email: 'a@b.c', url: 'https://x/y' }],
    ['FN:A\nFN:B', { fullName: 'A' }],
    ['FN:constructor\n__proto__:x', { fullName: 'constructor' }],
    ['not a card at all', {}],
    ['', {}],
  ])('%j', (vcard, said) => {
    expect(readCard(vcard)).toEqual(said)
  })
})
