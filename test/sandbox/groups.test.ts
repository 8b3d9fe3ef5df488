import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { child, children, childText, node } from '../../src/sandbox/node'
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

type Party = { phone: LabPhone; companion: Companion; wire: Wire }
let lab: Lab
let anna: Party
let ben: Party
let cleo: Party

beforeAll(async () => {
  lab = await startLab()
  const party = async (phoneNumber: string) => {
    const { phone, companion } = await lab.linked(phoneNumber)
    return { phone, companion, wire: await companion.online() }
  }
  anna = await party('4923000000001')
  ben = await party('4923000000002')
  cleo = await party('4923000000003')
})
afterAll(() => lab.stop())

const participant = (jid: string) => node('participant', { jid })
const set = (who: Party, group: string, ...content: BinaryNode[]) =>
  who.wire.query('w:g2', 'set', content, { to: group })
const get = (who: Party, group: string, tag: string, attrs = {}) =>
  who.wire.query('w:g2', 'get', [node(tag, attrs)], { to: group })
const create = async (...members: string[]) => {
  const made = node('create', { subject: 'Walk', key: 'K1' }, members.map(participant))
  const group = child(await set(anna, '@g.us', made), 'group')
  return { jid: `${group?.attrs.id}@g.us`, group }
}
const rolesOf = (group: BinaryNode | undefined) =>
  Object.fromEntries(
    children(group, 'participant').map(({ attrs }) => [attrs.phone_number, attrs.type ?? 'member']),
  )
/** The next news of a group: who did it, what was done, to whom. */
const news = async (who: Party, jid: string, tag: string) => {
  const told = await who.wire.inbox.take(
    (stanza) =>
      stanza.attrs.type === 'w:gp2' && stanza.attrs.from === jid && child(stanza, tag) !== undefined,
  )
  return { by: told.attrs.participant, byPn: told.attrs.participant_pn, item: child(told, tag) }
}

describe('a group', () => {
  test('is made of whom the maker names, and everybody’s devices hear of it', async () => {
    const { jid, group } = await create(ben.phone.jid, cleo.phone.lid)
    expect(group?.attrs).toMatchObject({
      subject: 'Walk',
      creator: anna.phone.lid,
      creator_pn: anna.phone.jid,
      addressing_mode: 'lid',
      size: '3',
    })
    expect(group?.attrs.id).toMatch(/^120363\d{12}$/)
    expect(children(group, 'participant').map(({ attrs }) => attrs.jid)).toEqual(
      [anna, ben, cleo].map(({ phone }) => phone.lid),
    )
    expect(rolesOf(group)).toEqual({
      [anna.phone.jid]: 'superadmin',
      [ben.phone.jid]: 'member',
      [cleo.phone.jid]: 'member',
    })
    for (const who of [anna, ben, cleo]) {
      const told = await news(who, jid, 'create')
      expect(told).toMatchObject({ by: anna.phone.lid, byPn: anna.phone.jid })
      expect(child(told.item, 'group')?.attrs.id).toBe(group?.attrs.id ?? '')
      await who.phone.inbox.take(tagged('notification', { type: 'w:gp2', from: jid }))
    }
  })

  test('is described to its members, and listed with all of theirs', async () => {
    const { jid } = await create(ben.phone.jid)
    const described = child(await get(ben, jid, 'query', { request: 'interactive' }), 'group')
    expect(described?.attrs.subject).toBe('Walk')
    expect(childText(described, 'member_add_mode')).toBe('admin_add')
    const listed = child(await get(ben, '@g.us', 'participating'), 'groups')
    expect(children(listed, 'group').some(({ attrs }) => `${attrs.id}@g.us` === jid)).toBe(true)
  })

  test('leaves out those who do not want to be added, and those who are not on WhatsApp', async () => {
    await cleo.wire.query('privacy', 'set', [
      node('privacy', {}, [node('category', { name: 'groupadd', value: 'none' })]),
    ])
    const { jid, group } = await create(ben.phone.jid, cleo.phone.jid, '4923999999999@s.whatsapp.net')
    expect(
      children(group, 'participant')
        .filter(({ attrs }) => attrs.error)
        .map(({ attrs }) => attrs),
    ).toEqual([{ jid: '4923999999999@s.whatsapp.net', error: '404' }])
    expect(Object.keys(rolesOf(child(await get(anna, jid, 'query'), 'group')))).toEqual([
      anna.phone.jid,
      ben.phone.jid,
    ])
    const added = child(await set(anna, jid, node('add', {}, [participant(cleo.phone.jid)])), 'add')
    expect(child(added)?.attrs.error).toBe('403')
    await cleo.wire.query('privacy', 'set', [
      node('privacy', {}, [node('category', { name: 'groupadd', value: 'all' })]),
    ])
  })
})

describe('members', () => {
  const change = async (who: Party, jid: string, tag: string, ...jids: string[]) => {
    const answer = await set(who, jid, node(tag, {}, jids.map(participant)))
    return outcome(answer) === 'result'
      ? children(child(answer, tag), 'participant').map(({ attrs }) => attrs.error ?? '200')
      : outcome(answer)
  }

  test('come, rise, fall and go, each with a word to everybody', async () => {
    const { jid } = await create(ben.phone.jid)
    expect(
      await change(anna, jid, 'add', cleo.phone.jid, ben.phone.jid, '4923999999999@s.whatsapp.net'),
    ).toEqual(['200', '409', '404'])
    const added = await news(cleo, jid, 'add')
    expect(children(added.item).map(({ attrs }) => attrs)).toEqual([
      { jid: cleo.phone.lid, phone_number: cleo.phone.jid },
    ])

    expect(await change(ben, jid, 'promote', ben.phone.jid)).toBe('403')
    expect(await change(anna, jid, 'promote', ben.phone.jid)).toEqual(['200'])
    expect(child((await news(cleo, jid, 'promote')).item)?.attrs.type).toBe('admin')
    expect(await change(ben, jid, 'demote', anna.phone.jid)).toEqual(['405'])
    expect(await change(ben, jid, 'remove', anna.phone.jid)).toEqual(['405'])
    expect(await change(ben, jid, 'remove', cleo.phone.lid)).toEqual(['200'])
    // Who was removed hears of it, and of nothing after that.
    await news(cleo, jid, 'remove')
    expect(await change(anna, jid, 'demote', ben.phone.jid)).toEqual(['200'])
    await news(ben, jid, 'demote')
    await cleo.wire.settled()
    expect(cleo.wire.inbox.unread('notification').filter(({ attrs }) => attrs.from === jid)).toEqual([])
    expect(outcome(await get(cleo, jid, 'query'))).toBe('403')
  })

  test('are named in a change, and not too many of them', async () => {
    const { jid } = await create(ben.phone.jid)
    const many = Array.from({ length: 1025 }, () => ben.phone.jid)
    expect(await change(anna, jid, 'add')).toBe('406')
    expect(await change(anna, jid, 'add', ...many)).toBe('406')
  })

  test('are 1,024 at most', async () => {
    const { jid } = await create(ben.phone.jid)
    const group = lab.server.groups.get(jid)
    for (let at = 0; at < 1022; at++) {
      const { account } = lab.phone(`4923${String(at).padStart(10, '0')}`, {
        preKeys: 0,
        keys: anna.phone.keys,
      })
      group?.members.set(account, 'member')
    }
    expect(await change(anna, jid, 'add', cleo.phone.jid)).toEqual(['419'])
    expect(outcome(await set(cleo, '@g.us', node('invite', { code: group?.inviteCode })))).toBe('419')
  })

  test('leave, and the group is never without an admin', async () => {
    const { jid } = await create(ben.phone.jid, cleo.phone.jid)
    const id = jid.replace('@g.us', '')
    const leave = node('leave', {}, [node('group', { id: jid }), node('group', { id: '1@g.us' })])
    const left = child(await set(anna, '@g.us', leave), 'leave')
    expect(children(left).map(({ attrs }) => attrs.error)).toEqual([undefined, '404'])
    const told = await ben.wire.inbox.take(
      (stanza) => stanza.attrs.from === jid && child(stanza, 'remove') !== undefined,
    )
    expect(told.attrs.participant).toBe(anna.phone.lid)
    expect(rolesOf(child(await get(ben, jid, 'query'), 'group'))).toEqual({
      [ben.phone.jid]: 'admin',
      [cleo.phone.jid]: 'member',
    })
    expect(lab.server.groups.get(id)?.members.size).toBe(2)
  })

  test('come in by an invitation, until it is renewed', async () => {
    const { jid } = await create(ben.phone.jid)
    const code = child(await get(anna, jid, 'invite'), 'invite')?.attrs.code ?? ''
    const preview = child(await get(cleo, '@g.us', 'invite', { code }), 'group')
    expect(preview?.attrs.subject).toBe('Walk')
    const renewed = child(await set(anna, jid, node('invite')), 'invite')?.attrs.code ?? ''
    expect(renewed).not.toBe(code)
    expect(outcome(await set(cleo, '@g.us', node('invite', { code })))).toBe('406')
    expect(child(await set(cleo, '@g.us', node('invite', { code: renewed })), 'group')?.attrs.jid).toBe(jid)
    expect((await news(ben, jid, 'add')).item?.attrs.reason).toBe('invite')
    expect(outcome(await set(cleo, '@g.us', node('invite', { code: renewed })))).toBe('409')
  })

  test('come in by an invitation that an admin sent, while it lasts', async () => {
    const { jid } = await create(ben.phone.jid)
    const code = child(await get(anna, jid, 'invite'), 'invite')?.attrs.code ?? ''
    const accept = (admin: string, expiration: number) =>
      set(cleo, jid, node('accept', { code, admin, expiration: String(expiration) }))
    expect(outcome(await accept(ben.phone.jid, 4_000_000_000))).toBe('403')
    expect(outcome(await accept(anna.phone.jid, 1))).toBe('410')
    expect(outcome(await accept(anna.phone.jid, 4_000_000_000))).toBe('result')
  })
})

describe('settings', () => {
  test('subject and description are changed by members, unless the group is locked', async () => {
    const { jid } = await create(ben.phone.jid)
    expect(outcome(await set(ben, jid, node('subject', {}, 'Run')))).toBe('result')
    const renamed = await news(anna, jid, 'subject')
    expect([renamed.by, renamed.item?.attrs.subject]).toEqual([ben.phone.lid, 'Run'])
    expect(outcome(await set(ben, jid, node('subject', {}, 'x'.repeat(101))))).toBe('406')

    const describe = (id: string, text: string, prev?: string) =>
      set(ben, jid, node('description', { id, prev }, [node('body', {}, text)]))
    expect(outcome(await describe('d1', 'At eight'))).toBe('result')
    expect(childText((await news(anna, jid, 'description')).item, 'body')).toBe('At eight')
    expect(outcome(await describe('d2', 'At nine'))).toBe('409')
    expect(outcome(await describe('d2', 'x'.repeat(2049), 'd1'))).toBe('406')
    expect(outcome(await set(ben, jid, node('description', { id: 'd2', prev: 'd1' })))).toBe('400')
    expect(outcome(await describe('d2', 'At nine', 'd1'))).toBe('result')
    const described = child(child(await get(anna, jid, 'query'), 'group'), 'description')
    expect(described?.attrs).toMatchObject({
      id: 'd2',
      participant: ben.phone.lid,
      participant_pn: ben.phone.jid,
    })

    expect(outcome(await set(ben, jid, node('locked')))).toBe('403')
    expect(outcome(await set(anna, jid, node('locked')))).toBe('result')
    await news(ben, jid, 'locked')
    expect(outcome(await set(ben, jid, node('subject', {}, 'Swim')))).toBe('403')
    expect(outcome(await describe('d3', 'At ten', 'd2'))).toBe('403')
    await set(anna, jid, node('unlocked'))
    expect(outcome(await set(ben, jid, node('description', { delete: 'true', prev: 'd2' })))).toBe('result')
    expect(child(child(await get(anna, jid, 'query'), 'group'), 'description')).toBeUndefined()
  })

  test('only admins may send in an announcement group', async () => {
    const { jid } = await create(ben.phone.jid)
    await set(anna, jid, node('announcement'))
    await news(ben, jid, 'announcement')
    const say = async (who: Party, id: string) => {
      who.wire.send(message(id, jid, [], [enc('skmsg')]))
      return (await who.wire.take('ack', { id })).attrs.error
    }
    expect(await say(ben, 'A1')).toBe('403')
    expect(await say(anna, 'A2')).toBeUndefined()
    await set(anna, jid, node('not_announcement'))
    expect(await say(ben, 'A3')).toBeUndefined()
  })

  test('who may add, how long messages last, who has to be asked', async () => {
    const { jid } = await create(ben.phone.jid)
    await set(anna, jid, node('member_add_mode', {}, 'all_member_add'))
    await set(anna, jid, node('ephemeral', { expiration: '86400' }))
    await set(anna, jid, node('membership_approval_mode', {}, [node('group_join', { state: 'on' })]))
    const group = child(await get(ben, jid, 'query'), 'group')
    expect(childText(group, 'member_add_mode')).toBe('all_member_add')
    expect(child(group, 'ephemeral')?.attrs.expiration).toBe('86400')
    expect(child(child(group, 'membership_approval_mode'), 'group_join')?.attrs.state).toBe('on')
    expect(outcome(await set(ben, jid, node('add', {}, [participant(cleo.phone.jid)])))).toBe('result')
    await set(anna, jid, node('not_ephemeral'))
    expect(child(child(await get(ben, jid, 'query'), 'group'), 'ephemeral')).toBeUndefined()
    expect(outcome(await set(anna, jid, node('member_add_mode', {}, 'nobody')))).toBe('400')
    expect(outcome(await set(anna, jid, node('ephemeral', { expiration: 'soon' })))).toBe('400')
  })

  test('its picture is the group’s own', async () => {
    const { jid } = await create(ben.phone.jid)
    const locked = await create(ben.phone.jid)
    await set(anna, locked.jid, node('locked'))
    const refused = await ben.wire.query('w:profile:picture', 'set', [], { target: locked.jid })
    expect(outcome(refused)).toBe('403')
    const picture = (who: Party, type: string, content: BinaryNode[]) =>
      who.wire.query('w:profile:picture', type, content, { target: jid })
    const put = child(
      await picture(ben, 'set', [node('picture', { type: 'image' }, Buffer.from('jpeg'))]),
      'picture',
    )
    const told = await anna.wire.inbox.take(
      (stanza) => stanza.attrs.type === 'picture' && stanza.attrs.from === jid,
    )
    expect(child(told, 'set')?.attrs).toMatchObject({ id: put?.attrs.id ?? '', author: ben.phone.lid })
    const shown = child(
      await picture(anna, 'get', [node('picture', { type: 'image', query: 'url' })]),
      'picture',
    )
    expect(shown?.attrs.url).toContain(put?.attrs.id ?? '?')
    expect(outcome(await picture(cleo, 'get', [node('picture')]))).toBe('403')
    await picture(ben, 'set', [])
    expect(outcome(await picture(anna, 'get', [node('picture')]))).toBe('404')
  })
})

describe('a message in a group', () => {
  test('comes with its key first, from the device by the group’s kind of address', async () => {
    const { jid } = await create(ben.phone.jid)
    const key = enc('pkmsg')
    const shared = enc('skmsg')
    const identity = node('device-identity', {}, Buffer.from('signed'))
    // Baileys names its own device among those that need the key; it gets no copy.
    const keys = [to(ben.companion.jid('lid'), key), to(anna.phone.lid), to(anna.companion.jid('lid'))]
    anna.wire.send(message('G1', jid, keys, [shared, identity], { addressing_mode: 'lid' }))
    const ack = await anna.wire.take('ack', { id: 'G1' })
    expect([ack.attrs.from, ack.attrs.error, ack.attrs.phash]).toEqual([jid, undefined, undefined])
    const got = await ben.wire.take('message', { id: 'G1' })
    expect(got.attrs).toMatchObject({
      from: jid,
      participant: anna.companion.jid('lid'),
      participant_pn: anna.phone.jid,
      addressing_mode: 'lid',
    })
    expect(children(got).map(({ tag, attrs }) => attrs.type ?? tag)).toEqual([
      'pkmsg',
      'skmsg',
      'device-identity',
    ])
    expect(children(got, 'enc').map(({ content }) => content)).toEqual([key.content, shared.content])
    // A device that has the key already, or was forgotten, gets the message alone.
    const atPhone = await ben.phone.inbox.take(tagged('message', { id: 'G1' }))
    expect(children(atPhone).map(({ attrs }) => attrs.type)).toEqual(['skmsg'])
    await anna.phone.inbox.take(tagged('message', { id: 'G1' }))
    await anna.wire.settled()
    expect(anna.wire.inbox.unread('message').filter(({ attrs }) => attrs.id === 'G1')).toEqual([])
  })

  test('is answered with the hash of the true device list when the sender’s is another', async () => {
    const { jid } = await create(ben.phone.jid)
    const send = async (id: string, phash: string) => {
      anna.wire.send(message(id, jid, [], [enc('skmsg')], { phash }))
      return (await anna.wire.take('ack', { id })).attrs.phash
    }
    const truth = await send('G2', '2:wrongone')
    expect(truth).toMatch(/^2:.{8}$/)
    expect(await send('G3', truth ?? '')).toBeUndefined()
  })

  test('is confirmed to every device of the author, by the group’s kind of address', async () => {
    const { jid } = await create(ben.phone.jid)
    anna.wire.send(message('G4', jid, [], [enc('skmsg')]))
    const got = await ben.wire.take('message', { id: 'G4' })
    ben.wire.send(node('receipt', { id: 'G4', to: jid, participant: got.attrs.participant, type: 'read' }))
    const told = await anna.wire.take('receipt', { id: 'G4' })
    expect(told.attrs).toMatchObject({ from: jid, participant: ben.companion.jid('lid'), type: 'read' })
    await anna.phone.inbox.take(tagged('receipt', { id: 'G4' }))
  })

  test('is asked for again from the sending device, and sent to the asking one alone', async () => {
    const { jid } = await create(ben.phone.jid)
    anna.wire.send(message('G5', jid, [], [enc('skmsg')]))
    const got = await ben.wire.take('message', { id: 'G5' })
    ben.wire.send(
      node('receipt', { id: 'G5', to: jid, participant: got.attrs.participant, type: 'retry' }, [
        node('retry', { count: '1', id: 'G5', t: '1', v: '1' }),
        node('registration', {}, Buffer.alloc(4)),
      ]),
    )
    const asked = await anna.wire.take('receipt', { type: 'retry' })
    expect(asked.attrs).toMatchObject({ from: jid, participant: ben.companion.jid('lid') })
    anna.wire.send(
      message('G5', jid, [], [enc('msg', { count: '1' })], { participant: ben.companion.jid('lid') }),
    )
    const again = await ben.wire.take('message', { id: 'G5' })
    expect(child(again, 'enc')?.attrs).toMatchObject({ type: 'msg', count: '1' })
    expect(anna.phone.inbox.unread('receipt').filter(({ attrs }) => attrs.id === 'G5')).toEqual([])
  })

  test('typing there is told to the others', async () => {
    const { jid } = await create(ben.phone.jid)
    anna.wire.send(node('chatstate', { to: jid }, [node('composing')]))
    expect((await ben.wire.take('chatstate')).attrs).toEqual({ from: jid, participant: anna.phone.lid })
  })
})

test('a status goes to those who were given its key', async () => {
  anna.wire.send(message('S1', 'status@broadcast', [to(ben.companion.jid('lid'))], [enc('skmsg')]))
  expect((await anna.wire.take('ack', { id: 'S1' })).attrs.error).toBeUndefined()
  const got = await ben.wire.take('message', { id: 'S1' })
  expect(got.attrs).toMatchObject({
    from: 'status@broadcast',
    participant: anna.companion.jid('lid'),
    participant_pn: anna.phone.jid,
  })
  ben.wire.send(
    node('receipt', { id: 'S1', to: 'status@broadcast', participant: got.attrs.participant, type: 'read' }),
  )
  expect((await anna.wire.take('receipt', { id: 'S1' })).attrs.participant).toBe(ben.companion.jid('lid'))
  await cleo.wire.settled()
  expect(cleo.wire.inbox.unread('message').filter(({ attrs }) => attrs.id === 'S1')).toEqual([])
})

test('a status passes by those who have blocked its author', async () => {
  const { blocked } = lab.server.world.profiles.of(cleo.phone.account)
  blocked.add(anna.phone.account)
  const audience = [to(ben.companion.jid('lid')), to(cleo.companion.jid('lid'))]
  anna.wire.send(message('S2', 'status@broadcast', audience, [enc('skmsg')]))
  expect((await anna.wire.take('ack', { id: 'S2' })).attrs.error).toBeUndefined()
  await ben.wire.take('message', { id: 'S2' })
  await cleo.wire.settled()
  expect(cleo.wire.inbox.unread('message').filter(({ attrs }) => attrs.id === 'S2')).toEqual([])
  blocked.clear()
  anna.wire.send(message('S3', 'status@broadcast', audience, [enc('skmsg')]))
  await cleo.wire.take('message', { id: 'S3' })
})

describe('receipts of a group', () => {
  const receipt = (who: Party, group: string, ids: string[], type?: string) => {
    const [id, ...more] = ids
    const items = more.map((each) => node('item', { id: each }))
    const list = items.length > 0 ? [node('list', {}, items)] : undefined
    who.wire.send(node('receipt', { id, to: group, participant: anna.companion.jid('lid'), type }, list))
  }
  const say = async (group: string, id: string) => {
    anna.wire.send(message(id, group, [], [enc('skmsg')]))
    await anna.wire.take('ack', { id })
    for (const who of [ben, cleo]) await who.wire.take('message', { id })
  }

  test('name the reader, and may be for several messages at once', async () => {
    const { jid } = await create(ben.phone.jid, cleo.phone.jid)
    for (const id of ['R1', 'R2', 'R3']) await say(jid, id)
    receipt(ben, jid, ['R1', 'R2', 'R3'], 'read')
    const told = await anna.wire.take('receipt', { id: 'R1', type: 'read' })
    expect(told.attrs).toMatchObject({ from: jid, participant: ben.companion.jid('lid') })
    expect(children(child(told, 'list')).map(({ attrs }) => attrs.id)).toEqual(['R2', 'R3'])
    await ben.wire.settled()
    const waiting = ben.companion.device?.pending.filter(({ attrs }) => attrs.from === jid)
    expect(waiting?.filter(({ tag }) => tag === 'message')).toEqual([])
  })

  test('gather while the author is away; a fault hands them out as one per message', async () => {
    const { jid } = await create(ben.phone.jid, cleo.phone.jid)
    for (const id of ['R4', 'R5', 'R6', 'R7']) await say(jid, id)
    // What is more than a name and a time is for itself.
    const apart = [
      ['R6', 'read', ben.companion.jid('lid')],
      ['R6', 'retry', ben.companion.jid('lid')],
      ['R6', 'sender', anna.phone.lid],
    ]
    const away = async () => {
      anna.wire.close()
      await anna.wire.closed
      for (const who of [ben, cleo]) {
        receipt(who, jid, ['R4'])
        receipt(who, jid, ['R4'], 'read')
        receipt(who, jid, ['R5'])
        await who.wire.settled()
      }
      receipt(ben, jid, ['R6', 'R7'], 'read')
      ben.wire.send(
        node('receipt', { id: 'R6', to: jid, participant: anna.companion.jid('lid'), type: 'retry' }, [
          node('retry', { count: '1', id: 'R6', t: '1', v: '1' }),
          node('registration', {}, Buffer.alloc(4)),
        ]),
      )
      await ben.wire.settled()
      const participant = anna.companion.jid('lid')
      anna.phone.uplink.send(node('receipt', { id: 'R6', to: jid, participant, type: 'sender' }))
      anna.wire = await anna.companion.online()
      await anna.wire.settled()
      const got = anna.wire.inbox
        .unread('receipt')
        .filter(({ attrs }) => attrs.from === jid && ['R4', 'R5', 'R6'].includes(attrs.id ?? ''))
      for (const { attrs } of got) await anna.wire.take('receipt', { id: attrs.id ?? '' })
      return got
    }
    const singly = await away()
    const named = ({ attrs }: BinaryNode) => [attrs.id, attrs.type, attrs.participant]
    expect(singly.map(named)).toEqual([
      ...[ben, cleo].flatMap(({ companion }) => [
        ['R4', undefined, companion.jid('lid')],
        ['R4', 'read', companion.jid('lid')],
        ['R5', undefined, companion.jid('lid')],
      ]),
      ...apart,
    ])
    const pending = () =>
      (anna.companion.device?.pending ?? []).filter(
        ({ tag, attrs }) => tag === 'receipt' && attrs.from === jid,
      )
    for (const { attrs } of [...pending()]) {
      const to = attrs.from
      anna.wire.send(node('ack', { class: 'receipt', id: attrs.id, to, participant: attrs.participant }))
    }
    await anna.wire.settled()
    expect(pending()).toEqual([])

    const { phoneNumber } = anna.phone
    const { id } = lab.server.faults.add({ kind: 'grouped_receipts', phoneNumber })
    const all = await away()
    lab.server.faults.clear(id)
    expect(all.slice(3).map(named)).toEqual(apart)
    const grouped = all.slice(0, 3)
    expect(
      grouped.map((stanza) => [
        stanza.attrs.id,
        stanza.attrs.type,
        stanza.attrs.participant,
        child(stanza, 'participants')?.attrs.key,
        children(child(stanza, 'participants')).map(({ attrs }) => attrs.jid),
      ]),
    ).toEqual(
      [
        ['R4', undefined],
        ['R4', 'read'],
        ['R5', undefined],
      ].map(([key, type]) => [
        key,
        type,
        undefined,
        key,
        [ben, cleo].map(({ companion }) => companion.jid('lid')),
      ]),
    )
    for (const { attrs } of all) anna.wire.send(node('ack', { class: 'receipt', id: attrs.id, to: jid }))
    await anna.wire.settled()
    expect(pending()).toEqual([])
  })
})
