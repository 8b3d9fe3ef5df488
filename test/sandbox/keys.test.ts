import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { child, childBytes, children, node, readNumber } from '../../src/sandbox/node'
import {
  type Companion,
  type Lab,
  makeKeys,
  makeSignedKey,
  outcome,
  preKeyNode,
  skeyNode,
  startLab,
  tagged,
  type Wire,
} from './support/lab'

let lab: Lab
beforeAll(async () => {
  lab = await startLab()
})
afterAll(() => lab.stop())

const count = async (wire: Wire) =>
  child(await wire.query('encrypt', 'get', [node('count')]), 'count')?.attrs.value

const bundleOf = async (wire: Wire, jid: string) => {
  const answer = await wire.query('encrypt', 'get', [node('key', {}, [node('user', { jid })])])
  return child(child(answer, 'list'), 'user')
}
const oneTimeIdOf = (user: ReturnType<typeof child>) => {
  const id = childBytes(child(user, 'key'), 'id')
  return id === undefined ? null : readNumber(id)
}

test('keys are uploaded, counted and handed out once each, oldest first', async () => {
  const { companion } = await lab.linked('4917000000001')
  const wire = await companion.online()
  const asker = await (await lab.linked('4917000000002')).companion.online()
  expect(await count(wire)).toBe('0')
  expect(outcome(await wire.query('encrypt', 'set', companion.uploadOf(10, 7)))).toBe('result')
  expect(await count(wire)).toBe('7')

  const user = await bundleOf(asker, companion.jid())
  expect(childBytes(user, 'identity')).toEqual(companion.keys.identity.public)
  expect(readNumber(childBytes(user, 'registration') ?? Buffer.alloc(4))).toBe(4711)
  expect(childBytes(child(user, 'skey'), 'value')).toEqual(companion.keys.signedPreKey.pair.public)
  expect(
    childBytes(user, 'device-identity')?.equals(companion.device?.deviceIdentity ?? Buffer.alloc(0)),
  ).toBe(true)
  const handedOut = [oneTimeIdOf(user)]
  // By LID or by number it is the same device, and the same stock.
  for (const domain of ['lid', 'pn', 'lid', 'pn', 'lid', 'pn', 'pn'] as const) {
    handedOut.push(oneTimeIdOf(await bundleOf(asker, companion.jid(domain))))
  }
  expect(handedOut).toEqual([10, 11, 12, 13, 14, 15, 16, null])
  expect(await count(wire)).toBe('0')
  wire.close()
  asker.close()
})

test('a device is asked for more when few are left, once per shortage', async () => {
  const { companion } = await lab.linked('4917000000003')
  const wire = await companion.online()
  const asker = await (await lab.linked('4917000000004')).companion.online()
  await wire.query('encrypt', 'set', companion.uploadOf(1, 6))
  await bundleOf(asker, companion.jid())
  await wire.settled()
  expect(wire.inbox.unread('notification')).toEqual([])
  await bundleOf(asker, companion.jid())
  const asked = await wire.take('notification', { type: 'encrypt' })
  expect(asked.attrs.from).toBe('@s.whatsapp.net')
  expect(child(asked, 'count')?.attrs.value).toBe('4')
  await bundleOf(asker, companion.jid())
  await wire.settled()
  expect(wire.inbox.unread('notification')).toEqual([])
  wire.close()
  asker.close()
})

test('the signed pre-key is rotated', async () => {
  const { companion } = await lab.linked('4917000000005')
  const wire = await companion.online()
  const next = makeSignedKey(companion.keys.identity, 2)
  expect(outcome(await wire.query('encrypt', 'set', [node('rotate', {}, [skeyNode(next)])]))).toBe('result')
  const user = await bundleOf(wire, companion.jid())
  expect(childBytes(child(user, 'skey'), 'value')).toEqual(next.pair.public)
  const digest = child(await wire.query('encrypt', 'get', [node('digest')]), 'digest')
  expect(childBytes(child(digest, 'skey'), 'value')).toEqual(next.pair.public)
  expect(childBytes(digest, 'hash')).toHaveLength(20)
  wire.close()
})

test('the same key uploaded twice is there once', async () => {
  const { companion } = await lab.linked('4917000000006')
  const wire = await companion.online()
  await wire.query('encrypt', 'set', companion.uploadOf(1, 6))
  await wire.query('encrypt', 'set', companion.uploadOf(4, 6))
  expect(await count(wire)).toBe('9')
  wire.close()
})

describe('an upload is refused', () => {
  let companion: Companion
  let wire: Wire
  beforeAll(async () => {
    companion = (await lab.linked('4917000000010')).companion
    wire = await companion.online()
  })
  afterAll(() => wire.close())
  const stranger = makeKeys()

  const replaced = (tag: string, by: ReturnType<typeof node>) =>
    companion.uploadOf(1, 5).map((item) => (item.tag === tag ? by : item))

  const cases: [string, string, () => ReturnType<typeof node>[]][] = [
    ['of another identity', '409', () => companion.uploadOf(1, 5, { identity: stranger.identity.public })],
    ['of another registration', '409', () => companion.uploadOf(1, 5, { registrationId: 1 })],
    [
      'with a signed key of somebody else',
      '406',
      () => companion.uploadOf(1, 5, { skey: stranger.signedPreKey }),
    ],
    ['of more keys than a client makes', '406', () => companion.uploadOf(1, 813)],
    ['of no keys', '406', () => companion.uploadOf(1, 0)],
    ['of short keys', '406', () => replaced('list', node('list', {}, [preKeyNode(1, 31)]))],
    ['of one id twice', '406', () => replaced('list', node('list', {}, [preKeyNode(1), preKeyNode(1)]))],
    ['without a signed key', '406', () => companion.uploadOf(1, 5).filter(({ tag }) => tag !== 'skey')],
    ['of another key type', '406', () => replaced('type', node('type', {}, Buffer.from([6])))],
  ]
  test.each(cases)('%s', async (_, code, upload) => {
    expect(outcome(await wire.query('encrypt', 'set', upload()))).toBe(code)
    expect(await count(wire)).toBe('0')
  })

  test('and so is a rotation to a key of somebody else', async () => {
    const answer = await wire.query('encrypt', 'set', [node('rotate', {}, [skeyNode(stranger.signedPreKey)])])
    expect(outcome(answer)).toBe('406')
  })

  test('but the largest a client makes is taken', async () => {
    expect(outcome(await wire.query('encrypt', 'set', companion.uploadOf(1, 812)))).toBe('result')
    expect(await count(wire)).toBe('812')
  })
})

test('a bundle of a device that is not there is an error for that user alone', async () => {
  const { phone, companion } = await lab.linked('4917000000011')
  const wire = await companion.online()
  const users = ['4917000000011:9@s.whatsapp.net', phone.jid, '4917999999999@s.whatsapp.net', 'nobody']
  const answer = await wire.query('encrypt', 'get', [
    node(
      'key',
      {},
      users.map((jid) => node('user', { jid })),
    ),
  ])
  const told = children(child(answer, 'list'), 'user').map(
    (user) => child(user, 'error')?.attrs.code ?? 'bundle',
  )
  expect(told).toEqual(['404', 'bundle', '404', '404'])
  expect(outcome(await wire.query('encrypt', 'get', [node('key')]))).toBe('406')
  wire.close()
})

test('a phone’s stock is no different', async () => {
  const phone = lab.phone('4917000000012', { preKeys: 5 })
  const wire = await (await lab.linked('4917000000013')).companion.online()
  expect(oneTimeIdOf(await bundleOf(wire, phone.jid))).toBe(1)
  const asked = await phone.inbox.take(tagged('notification', { type: 'encrypt' }))
  expect(child(asked, 'count')?.attrs.value).toBe('4')
  wire.close()
})
