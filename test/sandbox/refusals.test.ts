/** What WhatsApp refuses, as one table per kind of answer; the same stanzas in good form are taken beside it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { child, node } from '../../src/sandbox/node'
import {
  type Companion,
  enc,
  type Lab,
  type LabPhone,
  message,
  outcome,
  startLab,
  tagged,
  to,
  type Wire,
} from './support/lab'

let lab: Lab
let me: { phone: LabPhone; companion: Companion }
let friend: { phone: LabPhone; companion: Companion }
let stranger: { phone: LabPhone; companion: Companion }
let wire: Wire
let group: string
let foreignGroup: string
let ownGroup: string

const participant = (jid: string) => node('participant', { jid })
const createGroup = async (phone: LabPhone, members: LabPhone[]) => {
  const content = members.map((member) => participant(member.jid))
  const request = node('iq', { type: 'set', xmlns: 'w:g2', to: '@g.us' }, [
    node('create', { subject: 'G', key: 'k' }, content),
  ])
  return `${child(await phone.uplink.query(request), 'group')?.attrs.id}@g.us`
}

beforeAll(async () => {
  lab = await startLab()
  me = await lab.linked('4920000000001')
  friend = await lab.linked('4920000000002')
  stranger = await lab.linked('4920000000003')
  group = await createGroup(friend.phone, [me.phone])
  ownGroup = await createGroup(me.phone, [friend.phone])
  foreignGroup = await createGroup(stranger.phone, [friend.phone])
  wire = await me.companion.online()
})
afterAll(() => lab.stop())

const identity = node('device-identity', {}, Buffer.from('signed identity'))
const good = () => [to(friend.phone.jid), to(friend.companion.jid()), to(me.phone.jid)]
const skmsg = enc('skmsg')

let ids = 0
const id = () => `X${++ids}`
const tell = async (stanza: BinaryNode) => {
  wire.send(stanza)
  const ack = await wire.take('ack', { class: 'message', id: stanza.attrs.id ?? '' })
  return ack.attrs.error ?? 'taken'
}

describe('messages', () => {
  const table: [string, string, () => BinaryNode][] = [
    ['in good form', 'taken', () => message(id(), friend.phone.jid, good())],
    [
      'to a number that is not on WhatsApp',
      '404',
      () => message(id(), '4929999999999@s.whatsapp.net', [to(me.phone.jid)]),
    ],
    ['to no address', '479', () => message(id(), 'friend', good())],
    ['without recipient', '479', () => message(id(), '', good(), [], { to: undefined })],
    ['without type', '479', () => message(id(), friend.phone.jid, good(), [], { type: undefined })],
    ['of an unknown type', '479', () => message(id(), friend.phone.jid, good(), [], { type: 'telepathy' })],
    [
      'without anything encrypted',
      '479',
      () => node('message', { id: id(), to: friend.phone.jid, type: 'text' }),
    ],
    ['in plain text', '479', () => message(id(), friend.phone.jid, [], [node('plaintext', {}, 'hi')])],
    [
      'of an older version',
      '479',
      () => message(id(), friend.phone.jid, [to(friend.phone.jid, enc('msg', { v: '1' }))]),
    ],
    [
      'whose ciphertext is no bytes',
      '479',
      () =>
        message(id(), friend.phone.jid, [
          to(friend.phone.jid, node('enc', { v: '2', type: 'msg' }, [node('a')])),
        ]),
    ],
    [
      'encrypted for a group, to a person',
      '479',
      () => message(id(), friend.phone.jid, [to(friend.phone.jid, enc('skmsg'))]),
    ],
    [
      'opening a session without identity',
      '479',
      () => message(id(), friend.phone.jid, [to(friend.phone.jid, enc('pkmsg'))]),
    ],
    [
      'opening a session with identity',
      'taken',
      () => message(id(), friend.phone.jid, [to(friend.phone.jid, enc('pkmsg'))], [identity]),
    ],
    [
      'also to a device of somebody else',
      '479',
      () => message(id(), friend.phone.jid, [...good(), to(stranger.phone.jid)]),
    ],
    [
      'to a device that is not linked',
      '479',
      () => message(id(), friend.phone.jid, [...good(), to('4920000000002:9@s.whatsapp.net')]),
    ],
    ['to one device twice', '479', () => message(id(), friend.phone.jid, [...good(), to(friend.phone.lid)])],
    ['to own devices alone', '479', () => message(id(), friend.phone.jid, [to(me.phone.jid)])],
    [
      'with a recipient that has nothing',
      '479',
      () =>
        message(id(), friend.phone.jid, [node('to', { jid: friend.phone.jid }), to(friend.companion.jid())]),
    ],
    [
      'bare, to more than one ciphertext',
      '479',
      () => message(id(), friend.companion.jid(), [], [enc('msg'), enc('msg')]),
    ],
    [
      'bare, to a device',
      'taken',
      () => message(id(), friend.companion.jid(), [], [enc('msg')], { device_fanout: 'false' }),
    ],
    [
      'bare, to a device that is not linked',
      '479',
      () => message(id(), '4920000000002:9@s.whatsapp.net', [], [enc('msg')]),
    ],
    [
      'bare, to itself',
      '479',
      () => message(id(), me.companion.jid(), [], [enc('msg')], { recipient: friend.phone.jid }),
    ],
    ['bare, to an own device without the chat', '479', () => message(id(), me.phone.jid, [], [enc('msg')])],
    [
      'between own devices, to somebody else',
      '479',
      () => message(id(), friend.phone.jid, [], [enc('msg')], { category: 'peer' }),
    ],
    [
      'to a newsletter that is not there',
      '404',
      () => message(id(), '120363000000000000@newsletter', [], [enc('msg')]),
    ],
    [
      'to a group in good form',
      'taken',
      () => message(id(), group, [to(friend.phone.lid)], [skmsg], { addressing_mode: 'lid' }),
    ],
    ['to a group that is not there', '404', () => message(id(), '120363999999999999@g.us', [], [skmsg])],
    ['to a group one is not in', '403', () => message(id(), foreignGroup, [], [skmsg])],
    [
      'to a group by the other kind of address',
      '479',
      () => message(id(), group, [], [skmsg], { addressing_mode: 'pn' }),
    ],
    [
      'to a group, key to one who is no member',
      '479',
      () => message(id(), group, [to(stranger.phone.lid)], [skmsg]),
    ],
    ['to a group without the shared ciphertext', '479', () => message(id(), group, [to(friend.phone.lid)])],
    ['to a group with two of them', '479', () => message(id(), group, [], [skmsg, skmsg])],
    ['to a group, encrypted for one', '479', () => message(id(), group, [], [enc('msg')])],
    [
      'to one member who asked again',
      'taken',
      () => message(id(), group, [], [enc('msg')], { participant: friend.companion.jid('lid') }),
    ],
    [
      'to one who asked and is no member',
      '479',
      () => message(id(), group, [], [enc('msg')], { participant: stranger.phone.lid }),
    ],
    [
      'to one who asked, encrypted for all',
      '479',
      () => message(id(), group, [], [skmsg], { participant: friend.phone.lid }),
    ],
    [
      'between own devices, to itself',
      '479',
      () => message(id(), me.companion.jid(), [], [enc('msg')], { category: 'peer' }),
    ],
    [
      'between own devices, encrypted for a group',
      '479',
      () => message(id(), me.phone.jid, [], [enc('skmsg')], { category: 'peer' }),
    ],
    [
      'to one member who asked and is not linked',
      '479',
      () => message(id(), group, [], [enc('msg')], { participant: `${friend.phone.account.lid}:9@lid` }),
    ],
    [
      'to one member who asked, who is oneself',
      '479',
      () => message(id(), group, [], [enc('msg')], { participant: me.companion.jid('lid') }),
    ],
    [
      'to one status reader who is not linked',
      '479',
      () => message(id(), 'status@broadcast', [], [enc('msg')], { participant: '1:1@lid' }),
    ],
    [
      'to status readers in good form',
      'taken',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid)], [skmsg]),
    ],
    [
      'to a status reader who is not linked',
      '479',
      () => message(id(), 'status@broadcast', [to('4920000000002:9@s.whatsapp.net')], [skmsg]),
    ],
    [
      'to a status reader named twice',
      '479',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid), to(friend.phone.jid)], [skmsg]),
    ],
    [
      'to status readers, each by a sender key',
      '479',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid, skmsg)], [skmsg]),
    ],
    ['to a status list of groups', '479', () => message(id(), 'status@broadcast', [to(group)], [skmsg])],
    [
      'to status readers, in two ciphertexts',
      '479',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid)], [skmsg, skmsg]),
    ],
    [
      'to status readers, taken back by an admin',
      '479',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid)], [skmsg], { edit: '8' }),
    ],
    [
      'to status readers, taken back',
      'taken',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid)], [skmsg], { edit: '7' }),
    ],
    ...['1', '2', '7'].map((edit): [string, string, () => BinaryNode] => [
      `with edit=${edit}`,
      'taken',
      () => message(id(), friend.phone.jid, good(), [], { edit }),
    ]),
    ...['3', '8', '9', ''].map((edit): [string, string, () => BinaryNode] => [
      `with edit="${edit}", to a person`,
      '479',
      () => message(id(), friend.phone.jid, good(), [], { edit }),
    ]),
    [
      'that edits something between own devices',
      '479',
      () => message(id(), me.phone.jid, [], [enc('msg')], { category: 'peer', edit: '1' }),
    ],
    [
      'with which a mere member takes back what others said',
      '403',
      () => message(id(), group, [], [skmsg], { edit: '8' }),
    ],
    [
      'with which an admin takes back what others said',
      'taken',
      () => message(id(), ownGroup, [], [skmsg], { edit: '8' }),
    ],
    [
      'to status readers with nothing shared',
      '479',
      () => message(id(), 'status@broadcast', [to(friend.phone.lid)]),
    ],
  ]
  test.each(table)('%s: %s', async (_, expected, make) => {
    const before = lab.server.stats.snapshot()
    expect(await tell(make())).toBe(expected)
    const after = lab.server.stats.snapshot()
    expect(after.messages - before.messages).toBe(expected === 'taken' ? 1 : 0)
    expect(after.messagesRefused - before.messagesRefused).toBe(expected === 'taken' ? 0 : 1)
  })

  test('one that was refused reaches nobody', async () => {
    const refused = message('NOBODY', friend.phone.jid, [...good(), to(stranger.phone.jid)])
    expect(await tell(refused)).toBe('479')
    for (const { phone, companion } of [me, friend, stranger]) {
      expect(phone.inbox.all.some(tagged('message', { id: 'NOBODY' }))).toBe(false)
      expect(companion.device?.pending.some(tagged('message', { id: 'NOBODY' })) ?? false).toBe(false)
    }
  })
})

describe('receipts', () => {
  const retryOf = (content: BinaryNode[]) =>
    node('receipt', { id: id(), to: friend.companion.jid(), type: 'retry' }, content)
  const retry = node('retry', { count: '1', id: 'x', t: '1', v: '1' })
  const registration = node('registration', {}, Buffer.alloc(4))
  const table: [string, string, () => BinaryNode][] = [
    ['in good form', 'taken', () => node('receipt', { id: id(), to: friend.phone.jid, type: 'read' })],
    ['of an unknown type', '400', () => node('receipt', { id: id(), to: friend.phone.jid, type: 'dreamt' })],
    ['to nobody', '404', () => node('receipt', { id: id(), to: '4929999999999@s.whatsapp.net' })],
    [
      'without recipient, for nothing that is waiting',
      '400',
      () => node('receipt', { id: id(), type: 'sender' }),
    ],
    [
      'in a group that is not there',
      '404',
      () => node('receipt', { id: id(), to: '1@g.us', participant: friend.phone.lid }),
    ],
    ['in a group for no author', '404', () => node('receipt', { id: id(), to: group })],
    [
      'with a list that is too long',
      '406',
      () =>
        node('receipt', { id: id(), to: friend.phone.jid }, [
          node(
            'list',
            {},
            Array.from({ length: 5001 }, () => node('item', { id: 'i' })),
          ),
        ]),
    ],
    ['asking again in good form', 'taken', () => retryOf([retry, registration])],
    ['asking again without saying how often', '400', () => retryOf([registration])],
    ['asking again without registration', '400', () => retryOf([retry])],
    [
      'asking again with somebody else’s keys',
      '409',
      () => retryOf([retry, registration, node('keys', {}, friend.companion.uploadOf(1, 1))]),
    ],
  ]
  test.each(table)('%s: %s', async (_, expected, make) => {
    const receipt = make()
    wire.send(receipt)
    const ack = await wire.take('ack', { class: 'receipt', id: receipt.attrs.id ?? '' })
    expect(ack.attrs.error ?? 'taken').toBe(expected)
  })
})

/** An invitation that an admin has sent. */
const acceptance = (jid: string, admin: string) =>
  node('accept', { code: lab.server.groups.get(jid)?.inviteCode, admin, expiration: '4000000000' })

describe('queries', () => {
  const lists = (count: number) =>
    Array.from({ length: count }, (_, at) => participant(`49200${at}@s.whatsapp.net`))
  const table: [string, string, () => Promise<BinaryNode>][] = [
    ['of an unknown namespace', '501', () => wire.query('urn:nothing', 'get', [node('x')])],
    ['about nothing', '400', () => wire.query('privacy', 'get', [])],
    [
      'to leave for somebody else',
      '403',
      () => wire.query('md', 'set', [node('remove-companion-device', { jid: friend.companion.jid() })]),
    ],
    [
      'to leave for the own phone',
      '403',
      () => wire.query('md', 'set', [node('remove-companion-device', { jid: me.phone.jid })]),
    ],
    [
      'to leave for nobody',
      '404',
      () => wire.query('md', 'set', [node('remove-companion-device', { jid: '1:1@s.whatsapp.net' })]),
    ],
    [
      'to play the phone',
      '403',
      () => wire.query('md', 'set', [node('link_code_companion_reg', { stage: 'primary_hello' })]),
    ],
    [
      'for an unknown privacy category',
      '400',
      () =>
        wire.query('privacy', 'set', [
          node('privacy', {}, [node('category', { name: 'shoes', value: 'none' })]),
        ]),
    ],
    [
      'to block by number',
      '400',
      () =>
        wire.query('blocklist', 'set', [
          node('item', { action: 'block', jid: friend.phone.jid, pn_jid: friend.phone.jid }),
        ]),
    ],
    [
      'to block without the number',
      '400',
      () => wire.query('blocklist', 'set', [node('item', { action: 'block', jid: friend.phone.lid })]),
    ],
    [
      'to block with another’s number',
      '400',
      () =>
        wire.query('blocklist', 'set', [
          node('item', { action: 'block', jid: friend.phone.lid, pn_jid: stranger.phone.jid }),
        ]),
    ],
    [
      'to do something else than block',
      '400',
      () => wire.query('blocklist', 'set', [node('item', { action: 'hug', jid: friend.phone.lid })]),
    ],
    [
      'for a picture that is not there',
      '404',
      () => wire.query('w:profile:picture', 'get', [node('picture')], { target: friend.phone.jid }),
    ],
    [
      'to change somebody’s picture',
      '403',
      () =>
        wire.query('w:profile:picture', 'set', [node('picture', {}, randomBytes(9))], {
          target: friend.phone.jid,
        }),
    ],
    [
      'for an about text that is too long',
      '406',
      () => wire.query('status', 'set', [node('status', {}, 'x'.repeat(557))]),
    ],
    [
      'for an unknown collection',
      '400',
      () =>
        wire.query('w:sync:app:state', 'set', [
          node('sync', {}, [node('collection', { name: 'shoes', version: '0' })]),
        ]),
    ],
    [
      'for a patch that is none',
      '400',
      () =>
        wire.query('w:sync:app:state', 'set', [
          node('sync', {}, [
            node('collection', { name: 'regular', version: '0' }, [
              node('patch', {}, Buffer.from([0xff, 0xff])),
            ]),
          ]),
        ]),
    ],
    [
      'for a group without subject',
      '406',
      () => wire.query('w:g2', 'set', [node('create', { key: 'k' }, lists(1))], { to: '@g.us' }),
    ],
    [
      'for a group of nobody',
      '406',
      () => wire.query('w:g2', 'set', [node('create', { subject: 's', key: 'k' }, [])], { to: '@g.us' }),
    ],
    [
      'for a group of strangers to WhatsApp',
      '400',
      () =>
        wire.query('w:g2', 'set', [node('create', { subject: 's', key: 'k' }, lists(2))], { to: '@g.us' }),
    ],
    [
      'for a group that is too large',
      '406',
      () =>
        wire.query('w:g2', 'set', [node('create', { subject: 's', key: 'k' }, lists(1024))], { to: '@g.us' }),
    ],
    [
      'about a group one is not in',
      '403',
      () => wire.query('w:g2', 'get', [node('query')], { to: foreignGroup }),
    ],
    [
      'about a group that is not there',
      '404',
      () => wire.query('w:g2', 'get', [node('query')], { to: '1@g.us' }),
    ],
    [
      'to add as a mere member',
      '403',
      () => wire.query('w:g2', 'set', [node('add', {}, [participant(stranger.phone.jid)])], { to: group }),
    ],
    [
      'for the invitation as a mere member',
      '401',
      () => wire.query('w:g2', 'get', [node('invite')], { to: group }),
    ],
    [
      'to enter by a wrong invitation',
      '406',
      () => wire.query('w:g2', 'set', [node('invite', { code: 'wrong' })], { to: '@g.us' }),
    ],
    ['to do something unknown to the account', '400', () => wire.query('md', 'set', [node('shoes')])],
    ['for something unknown in privacy', '400', () => wire.query('privacy', 'get', [node('shoes')])],
    [
      'to give a token to nobody',
      '404',
      () =>
        wire.query('privacy', 'set', [
          node('tokens', {}, [node('token', { jid: '4929999999999@s.whatsapp.net', t: '1' })]),
        ]),
    ],
    [
      'for app state without a collection',
      '400',
      () => wire.query('w:sync:app:state', 'set', [node('sync')]),
    ],
    [
      'for app state by the wrong verb',
      '400',
      () =>
        wire.query('w:sync:app:state', 'get', [
          node('sync', {}, [node('collection', { name: 'regular', version: '0' })]),
        ]),
    ],
    ['for keys by the wrong verb', '400', () => wire.query('encrypt', 'poke', [node('count')])],
    ['for unknown keys', '400', () => wire.query('encrypt', 'get', [node('shoes')])],
    [
      'to change an about text by the wrong verb',
      '400',
      () => wire.query('status', 'get', [node('status', {}, 'x')]),
    ],
    [
      'for messages that disappear some day',
      '400',
      () => wire.query('disappearing_mode', 'set', [node('disappearing_mode', { duration: 'soon' })]),
    ],
    ['about a picture by the wrong verb', '400', () => wire.query('w:profile:picture', 'poke', [])],
    [
      'for the picture of nobody',
      '404',
      () => wire.query('w:profile:picture', 'get', [], { target: '4929999999999@s.whatsapp.net' }),
    ],
    [
      'for groups in an unknown way',
      '400',
      () => wire.query('w:g2', 'get', [node('shoes')], { to: '@g.us' }),
    ],
    [
      'for a preview by a wrong invitation',
      '406',
      () => wire.query('w:g2', 'get', [node('invite', { code: 'wrong' })], { to: '@g.us' }),
    ],
    [
      'about something unknown of a group',
      '400',
      () => wire.query('w:g2', 'get', [node('shoes')], { to: group }),
    ],
    [
      'to change a group by the wrong verb',
      '400',
      () => wire.query('w:g2', 'poke', [node('locked')], { to: group }),
    ],
    [
      'to change a group one is not in',
      '403',
      () => wire.query('w:g2', 'set', [node('subject', {}, 'Mine')], { to: foreignGroup }),
    ],
    [
      'to enter a group one is in',
      '409',
      () => wire.query('w:g2', 'set', [acceptance(group, friend.phone.jid)], { to: group }),
    ],
    [
      'for an unknown change to a group',
      '400',
      () => wire.query('w:g2', 'set', [node('dissolve')], { to: group }),
    ],
  ]
  test.each(table)('%s: %s', async (_, expected, ask) => {
    expect(outcome(await ask())).toBe(expected)
  })
})

describe('what cannot be answered ends the stream', () => {
  test.each<[string, BinaryNode]>([
    ['a message without id', node('message', { to: '1@s.whatsapp.net', type: 'text' })],
    ['a receipt without id', node('receipt', { to: '1@s.whatsapp.net' })],
    ['a query without id', node('iq', { type: 'get', xmlns: 'w:p' })],
    ['an ack of nothing', node('ack', { class: 'message' })],
    ['a call without action', node('call', { id: 'c' })],
    ['an unknown stanza', node('telegram', { id: 't' })],
    [
      'a notification by a companion',
      node('notification', { id: 'n', type: 'devices', to: '1@s.whatsapp.net' }),
    ],
    ['an unknown chat state', node('chatstate', { to: '1@s.whatsapp.net' }, [node('shouting')])],
  ])('%s', async (_, stanza) => {
    const { companion } = await lab.linked(`49210${String(++ids).padStart(8, '0')}`)
    const line = await companion.online()
    line.send(stanza)
    const last = await line.take('stream:error')
    expect(child(last)?.tag).toBe('xml-not-well-formed')
    await line.closed
    // It may come back and behave.
    expect((await companion.login()).first.tag).toBe('success')
  })

  // `constructor` is a name that every table inherits.
  test.each(['telegram', 'constructor'])('for a phone as well: <%s>', async (tag) => {
    const phone = lab.phone(`49220${String(++ids).padStart(8, '0')}`)
    phone.uplink.send(node(tag, { id: 't' }))
    await phone.inbox.take(tagged('stream:error'))
    phone.uplink.send(node('iq', { id: 'q', type: 'get', xmlns: tag, to: '@s.whatsapp.net' }, [node('x')]))
    expect(outcome(await phone.inbox.take(tagged('iq', { id: 'q' })))).toBe('501')
  })
})

test('a device that was removed while its line was open is not heard any more', async () => {
  const { phone, companion } = await lab.linked('4922000000002')
  const line = await companion.online()
  phone.uplink.unlink(1)
  line.send(message('GHOST', friend.phone.jid, [to(friend.phone.jid)]))
  await line.closed
  expect(friend.phone.inbox.all.some(tagged('message', { id: 'GHOST' }))).toBe(false)
})
