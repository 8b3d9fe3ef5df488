import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { otherSpellings } from '../../src/sandbox/directory'
import { child, children, node } from '../../src/sandbox/node'
import {
  type Lab,
  type LabPhone,
  message,
  outcome,
  startLab,
  tagged,
  to as toDevice,
  type Wire,
} from './support/lab'

let lab: Lab
let wire: Wire
let me: LabPhone
beforeAll(async () => {
  lab = await startLab()
  const { phone, companion } = await lab.linked('4918000000001')
  me = phone
  wire = await companion.online()
})
afterAll(() => lab.stop())

const usync = async (protocols: string[], users: ReturnType<typeof node>[], asking = wire) => {
  const query = node(
    'query',
    {},
    protocols.map((protocol) => node(protocol)),
  )
  const attrs = { sid: 's1', mode: 'query', context: 'message', index: '0', last: 'true' }
  return await asking.query('usync', 'get', [node('usync', attrs, [query, node('list', {}, users)])])
}
const usersOf = (answer: ReturnType<typeof node>) => children(child(child(answer, 'usync'), 'list'), 'user')
const contact = (number: string) => node('user', {}, [node('contact', {}, number)])

describe('a number', () => {
  test('without a phone is not on WhatsApp', async () => {
    const answer = await usync(['contact'], [contact('+4918000000001'), contact('+4918099999999')])
    const told = usersOf(answer).map((user) => [user.attrs.jid, child(user, 'contact')?.attrs.type])
    expect(told).toEqual([
      ['4918000000001@s.whatsapp.net', 'in'],
      ['4918099999999@s.whatsapp.net', 'out'],
    ])
  })

  test.each([
    ['5511987654321', '551187654321'],
    ['552198765432', '5521998765432'],
    ['5215512345678', '525512345678'],
    ['525587654321', '5215587654321'],
    ['5491123456789', '541123456789'],
    ['541198765432', '5491198765432'],
  ])('%s is also found as %s, and answered in its own spelling', async (own, typed) => {
    lab.phone(own)
    const [user] = usersOf(await usync(['contact'], [contact(`+${typed}`)]))
    expect([user?.attrs.jid, child(user, 'contact')?.attrs.type]).toEqual([`${own}@s.whatsapp.net`, 'in'])
  })

  test('is registered in one spelling only, and written to in that one only', async () => {
    const { jid } = lab.phone('5511912345678')
    expect(() => lab.phone('551112345678')).not.toThrow()
    expect(() => lab.phone('551187651234')).not.toThrow()
    expect(() => lab.phone('5511987651234')).toThrow('number-taken')
    const write = async (to: string) => {
      wire.send(message(`V${to}`, to, [toDevice(to), toDevice(me.jid)]))
      return (await wire.take('ack', { id: `V${to}` })).attrs.error ?? 'taken'
    }
    expect(await write(jid)).toBe('taken')
    expect(await write('5511987651234@s.whatsapp.net')).toBe('404')
  })

  test('has no other spelling elsewhere, nor on a Brazilian land line', () => {
    expect(otherSpellings('4915112345678')).toEqual([])
    expect(otherSpellings('551132345678')).toEqual([])
    expect(otherSpellings('12025550123')).toEqual([])
  })
})

describe('devices', () => {
  test('are listed with key indexes, and the LID beside the number', async () => {
    const { phone } = await lab.linked('4918000000002')
    const [user] = usersOf(await usync(['devices', 'lid'], [node('user', { jid: phone.jid })]))
    expect(user?.attrs.jid).toBe(phone.jid)
    expect(child(user, 'lid')?.attrs.val).toBe(phone.lid)
    expect(
      children(child(child(user, 'devices'), 'device-list'), 'device').map(({ attrs }) => attrs),
    ).toEqual([{ id: '0' }, { id: '1', 'key-index': '1' }])
  })

  test('asked by LID are answered by LID, without it beside', async () => {
    const [user] = usersOf(await usync(['devices', 'lid'], [node('user', { jid: me.lid })]))
    expect(user?.attrs.jid).toBe(me.lid)
    expect(child(user, 'lid')).toBeUndefined()
    expect(children(child(child(user, 'devices'), 'device-list'))).toHaveLength(2)
  })

  test('come with the phone’s signed list of indexes', async () => {
    const { phone } = await lab.linked('4918000000003')
    const signed = Buffer.from('signed list')
    await phone.uplink.query(
      node('iq', { type: 'set', xmlns: 'md', to: '@s.whatsapp.net' }, [
        node('key-index-list', { ts: '77' }, signed),
      ]),
    )
    const [user] = usersOf(await usync(['devices'], [node('user', { jid: phone.jid })]))
    const list = child(child(user, 'devices'), 'key-index-list')
    expect(list?.attrs.ts).toBe('77')
    expect(list?.content).toEqual(signed)
    const foreign = await wire.query('md', 'set', [node('key-index-list', { ts: '1' }, signed)])
    expect(outcome(foreign)).toBe('403')
  })

  test('of a stranger who is not on WhatsApp are none', async () => {
    const [user] = usersOf(
      await usync(['devices', 'lid'], [node('user', { jid: '4918099999998@s.whatsapp.net' })]),
    )
    expect(user?.content ?? []).toEqual([])
  })

  test('that come and go are told to those who asked, under the address they asked with', async () => {
    const phone = lab.phone('4918000000004')
    const asker = await lab.linked('4918000000005')
    const other = await lab.linked('4918000000006')
    const byNumber = await asker.companion.online()
    const byLid = await other.companion.online()
    const nobody = await (await lab.linked('4918000000007')).companion.online()
    await usync(['devices'], [node('user', { jid: phone.jid })], byNumber)
    await usync(['devices'], [node('user', { jid: phone.lid })], byLid)

    const companion = await lab.companion().pair(phone)
    const added = await byNumber.take('notification', { type: 'devices' })
    expect(added.attrs.from).toBe(phone.jid)
    expect(child(child(added, 'add'), 'device')?.attrs).toEqual({
      jid: companion.jid(),
      'key-index': '1',
      lid: companion.jid('lid'),
    })
    const addedByLid = await byLid.take('notification', { type: 'devices' })
    expect(addedByLid.attrs.from).toBe(phone.lid)
    expect(child(child(addedByLid, 'add'), 'device')?.attrs.jid).toBe(companion.jid('lid'))
    await phone.inbox.take(tagged('notification', { type: 'devices' }))
    await asker.phone.inbox.take(tagged('notification', { type: 'devices' }))

    phone.uplink.unlink(1)
    const removed = await byNumber.take('notification', { type: 'devices' })
    expect(child(child(removed, 'remove'), 'device')?.attrs.jid).toBe(companion.jid())
    await nobody.settled()
    expect(nobody.inbox.unread('notification')).toEqual([])
    for (const each of [byNumber, byLid, nobody]) each.close()
  })

  test('of a phone set up anew: those who asked hear of another identity', async () => {
    lab.phone('4918000000008')
    const asker = await lab.linked('4918000000009')
    const online = await asker.companion.online()
    await usync(['devices'], [node('user', { jid: '4918000000008@s.whatsapp.net' })], online)
    lab.phone('4918000000008')
    const told = await online.take('notification', { type: 'encrypt' })
    expect(told.attrs.from).toBe('4918000000008@s.whatsapp.net')
    expect(child(told, 'identity')).toBeDefined()
    online.close()
  })
})

test('about texts and disappearing messages are looked up', async () => {
  expect(outcome(await wire.query('status', 'set', [node('status', {}, 'Busy')]))).toBe('result')
  expect(
    outcome(await wire.query('disappearing_mode', 'set', [node('disappearing_mode', { duration: '86400' })])),
  ).toBe('result')
  const other = lab.phone('4918000000020')
  const users = [node('user', { jid: me.jid }), node('user', { jid: other.jid })]
  const [mine, theirs] = usersOf(await usync(['status', 'disappearing_mode'], users))
  expect(String(child(mine, 'status')?.content)).toBe('Busy')
  expect(child(mine, 'disappearing_mode')?.attrs.duration).toBe('86400')
  expect(child(theirs, 'status')?.attrs.code).toBe('401')
  expect(child(theirs, 'disappearing_mode')?.attrs.duration).toBe('0')
})

test.each([
  ['no query', () => wire.query('usync', 'get', [node('other')]), '400'],
  ['a set', () => wire.query('usync', 'set', [node('usync')]), '400'],
  ['no protocol', () => usync([], [contact('+1')]), '406'],
  [
    'a list that is too long',
    () =>
      usync(
        ['contact'],
        Array.from({ length: 5001 }, () => contact('+49')),
      ),
    '406',
  ],
])('a look-up with %s is refused', async (_, ask, code) => {
  expect(outcome(await ask())).toBe(code)
})
