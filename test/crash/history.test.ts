/** The judge finds what it is there for. */
import { describe, expect, test } from 'bun:test'
import { faultsIn, type History, judge, type Told } from './history'

const told = (seq: number, event: string, messageId: string, fromMe = false): Told => ({
  id: `evt_${seq}`,
  seq,
  event,
  messageId,
  fromMe,
})

const journal = [
  told(1, 'message.received', 'A'),
  told(2, 'message.received', 'B'),
  told(3, 'message.reaction', 'C'),
  told(4, 'message.sent', 'OURS', true),
]

/** Two messages, a reaction to the first, and one of ours; all is well. */
const sound: History = {
  said: [
    { id: 'A', line: 'chat', isDeed: false },
    { id: 'B', line: 'chat', isDeed: false },
    { id: 'C', line: 'chat', isDeed: true },
  ],
  confirmed: new Set(['A', 'B', 'C']),
  stored: [
    { id: 'A', fromMe: false, status: 'received' },
    { id: 'B', fromMe: false, status: 'received' },
    { id: 'OURS', fromMe: true, status: 'sent' },
  ],
  journal,
  delivered: journal,
  seen: journal,
  accepted: [{ id: 'OURS', to: '49', text: 'hello' }],
  arrived: new Map([['49', [{ id: 'OURS', text: 'hello' }]]]),
  unreadable: [],
  deeds: [{ targetId: 'A', look: '👍' }],
  looks: new Map([['A', '👍']]),
  kills: 1,
}

test('a sound history has no faults', () => {
  expect(judge(sound)).toEqual({ lost: [], doubled: [], disordered: [], strange: [], repeated: 0 })
})

type Case = { what: string; change: Partial<History>; finds: Partial<Record<string, RegExp>> }
const [a, b] = journal
const [rowA, rowB, ours] = sound.stored
if (!a || !b || !rowA || !rowB || !ours) throw new Error('The sound history is too short')

const CASES: Case[] = [
  {
    what: 'a message that WhatsApp was told of and nobody has',
    change: { stored: [rowA, ours] },
    finds: { lost: /^B: confirmed to WhatsApp, not stored/ },
  },
  {
    what: 'a message that never came',
    change: { stored: [rowA, ours], confirmed: new Set(['A', 'C']) },
    finds: { lost: /^B: never arrived/ },
  },
  {
    what: 'a row too many',
    change: { stored: [rowA, rowB, rowB, ours] },
    finds: { doubled: /^B: stored twice/ },
  },
  {
    what: 'a row of nobody',
    change: { stored: [...sound.stored, { ...rowA, id: 'X' }] },
    finds: { strange: /^X: stored, and nobody/ },
  },
  {
    what: 'a deed that was not told',
    change: { journal: journal.filter(({ messageId }) => messageId !== 'C') },
    finds: { lost: /^C: confirmed to WhatsApp, not told/ },
  },
  {
    what: 'a message that was told twice',
    change: { journal: [...journal, told(5, 'message.received', 'A')] },
    finds: { doubled: /^A: told in two events/ },
  },
  {
    what: 'an event that the webhook did not get',
    change: { delivered: journal.slice(1) },
    finds: { lost: /not delivered to the webhook/ },
  },
  {
    what: 'an event that the stream did not get',
    change: { seen: journal.slice(1) },
    finds: { lost: /not in the stream/ },
  },
  {
    what: 'an event twice in the stream',
    change: { seen: [...journal, ...journal.slice(-1)] },
    finds: { doubled: /twice in the stream/ },
  },
  {
    what: 'an event that was told and is not on disk',
    change: { seen: [...journal, told(9, 'message.received', 'Z')] },
    finds: { strange: /told before it was on disk/ },
  },
  {
    what: 'more repetitions than a kill explains',
    change: { delivered: [...Array.from({ length: 18 }, () => a), ...journal.slice(1)] },
    finds: { doubled: /17 deliveries repeated over 1 kills/ },
  },
  {
    what: 'deliveries in another order',
    change: { delivered: [b, a, ...journal.slice(2)] },
    finds: { disordered: /late at the webhook/ },
  },
  {
    what: 'a later event before one that waits in its lane',
    change: { delivered: [b, a, ...journal.slice(2)], failures: new Map([[a.id, [500, 0]]]) },
    finds: { disordered: /received A \(1\): late at|received B|late at the webhook/ },
  },
  {
    what: 'an event that was only refused',
    change: { delivered: [b, ...journal.slice(2)], failures: new Map([[a.id, [400]]]) },
    finds: { lost: /A \(1\): not delivered to the webhook/ },
  },
  {
    what: 'messages of a line in another order in the history',
    change: { stored: [rowB, rowA, ours] },
    finds: { disordered: /^A: behind a later one of its line in the history/ },
  },
  {
    what: 'messages of a line in another order',
    change: { journal: [{ ...a, messageId: 'B' }, { ...b, messageId: 'A' }, ...journal.slice(2)] },
    finds: { disordered: /^A: told after a later one/ },
  },
  {
    what: 'an accepted message that still waits',
    change: { stored: [rowA, rowB, { ...ours, status: 'queued' }] },
    finds: { lost: /OURS: accepted and still queued/ },
  },
  {
    what: 'an accepted message that nobody got',
    change: { arrived: new Map() },
    finds: { lost: /OURS: sent, not at 49/ },
  },
  {
    what: 'a recipient who got it twice',
    change: {
      arrived: new Map([
        [
          '49',
          [
            { id: 'OURS', text: 'hello' },
            { id: 'OTHER', text: 'hello' },
          ],
        ],
      ]),
    },
    finds: { doubled: /OURS: 2 times at 49/, strange: /OURS: arrived as OTHER/ },
  },
  {
    what: 'a message that could not be decrypted',
    change: { unreadable: ['A'] },
    finds: { strange: /A: could not be decrypted/ },
  },
  {
    what: 'a reaction that was applied twice',
    change: { looks: new Map([['A', '2 reactions']]) },
    finds: { strange: /A: should be 👍 and is 2 reactions/ },
  },
]

describe('found', () => {
  test.each(CASES)('$what', ({ change, finds }) => {
    const verdict = judge({ ...sound, ...change })
    expect(faultsIn(verdict)).toBeGreaterThan(0)
    for (const [kind, pattern] of Object.entries(finds))
      expect(verdict[kind as 'lost'].join('\n')).toMatch(pattern ?? /^$/)
  })

  test.each([
    ['refused', [400]],
    ['refused after it was down', [500, 404]],
    ['down for more than two retries', [500, 0, 503]],
  ])('an event that was %s may be late', (_, statuses) => {
    const verdict = judge({
      ...sound,
      delivered: [b, a, ...journal.slice(2)],
      failures: new Map([[a.id, statuses]]),
    })
    expect(faultsIn(verdict)).toBe(0)
  })

  test('a side lane may repeat one for a kill as well', () => {
    const again = { ...sound, delivered: [...Array.from({ length: 18 }, () => a), ...journal.slice(1)] }
    expect(faultsIn(judge({ ...again, failures: new Map([[b.id, [400]]]) }))).toBe(0)
  })

  test('repetitions of one turn are none', () => {
    const verdict = judge({ ...sound, delivered: [...Array.from({ length: 16 }, () => a), ...journal] })
    expect([faultsIn(verdict), verdict.repeated]).toEqual([0, 16])
  })
})
