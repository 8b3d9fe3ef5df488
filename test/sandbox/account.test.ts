import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { child, children, childText, node } from '../../src/sandbox/node'
import { type Companion, type Lab, type LabPhone, outcome, startLab, tagged, type Wire } from './support/lab'

let lab: Lab
let numbers = 4924000000000
const fresh = async () => {
  const { phone, companion } = await lab.linked(String(++numbers))
  return { phone, companion, wire: await companion.online() }
}
type Party = { phone: LabPhone; companion: Companion; wire: Wire }

beforeAll(async () => {
  lab = await startLab({ mediaHost: () => 'media.example:4443' })
})
afterAll(() => lab.stop())

describe('app state', () => {
  const patch = (text: string) =>
    Buffer.from(proto.SyncdPatch.encode({ snapshotMac: Buffer.from(text) }).finish())
  const sync = async (who: Party, ...collections: BinaryNode[]) => {
    const answer = await who.wire.query('w:sync:app:state', 'set', [node('sync', {}, collections)])
    return children(child(answer, 'sync'), 'collection')
  }
  const pull = (name: string, version: number) =>
    node('collection', { name, version: String(version), return_snapshot: String(version === 0) })
  const push = (name: string, version: number, text: string) =>
    node('collection', { name, version: String(version) }, [node('patch', {}, patch(text))])
  const read = (collection: BinaryNode | undefined) =>
    children(child(collection, 'patches'), 'patch').map(({ content }) => {
      const { version, snapshotMac } = proto.SyncdPatch.decode(content as Uint8Array)
      return [Number(version?.version), Buffer.from(snapshotMac ?? []).toString()]
    })

  test('is kept in numbered patches, and the other devices are told', async () => {
    const a = await fresh()
    const [pushed] = await sync(a, push('regular', 0, 'one'))
    expect(pushed?.attrs).toEqual({ name: 'regular', version: '1' })
    await sync(a, push('regular', 1, 'two'))
    const told = await a.phone.inbox.take(tagged('notification', { type: 'server_sync' }))
    expect(child(told, 'collection')?.attrs).toEqual({ name: 'regular', version: '1' })
    await a.wire.settled()
    expect(a.wire.inbox.unread('notification')).toEqual([])

    const [all, other] = await sync(a, pull('regular', 0), pull('critical_block', 0))
    expect(all?.attrs).toEqual({ name: 'regular', version: '2' })
    expect(read(all)).toEqual([
      [1, 'one'],
      [2, 'two'],
    ])
    expect(read(other)).toEqual([])
    expect(read((await sync(a, pull('regular', 1)))[0])).toEqual([[2, 'two']])
  })

  test('that was changed elsewhere in the meantime is a conflict, with what was missed', async () => {
    const a = await fresh()
    await sync(a, push('regular_low', 0, 'one'))
    const [conflict] = await sync(a, push('regular_low', 0, 'late'))
    expect(conflict?.attrs).toMatchObject({ type: 'error', version: '1' })
    expect(child(conflict, 'error')?.attrs.code).toBe('409')
    expect(read(conflict)).toEqual([[1, 'one']])
  })
})

describe('privacy', () => {
  test('categories are read and set', async () => {
    const { wire } = await fresh()
    const read = async () => {
      const answer = await wire.query('privacy', 'get', [node('privacy')])
      const categories = children(child(answer, 'privacy'), 'category')
      return Object.fromEntries(categories.map(({ attrs }) => [attrs.name, attrs.value]))
    }
    expect(await read()).toMatchObject({ readreceipts: 'all', last: 'all' })
    await wire.query('privacy', 'set', [
      node('privacy', {}, [node('category', { name: 'readreceipts', value: 'none' })]),
    ])
    expect(await read()).toMatchObject({ readreceipts: 'none', last: 'all' })
  })

  test('a token is handed to the contact’s companions, once a week', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const give = (t: string) =>
      a.wire.query('privacy', 'set', [
        node('tokens', {}, [node('token', { jid: b.phone.jid, t, type: 'trusted_contact' })]),
      ])
    expect(outcome(await give('1700000000'))).toBe('result')
    const told = await b.wire.take('notification', { type: 'privacy_token' })
    expect(told.attrs).toMatchObject({ from: a.phone.lid, sender_lid: a.phone.lid })
    const token = child(child(told, 'tokens'), 'token')
    expect(token?.attrs).toEqual({ type: 'trusted_contact', t: '1700000000' })
    expect(token?.content).toHaveLength(16)
    await give('1700000001')
    await b.wire.settled()
    expect(b.wire.inbox.unread('notification')).toEqual([])
    await give('1700700000')
    await b.wire.take('notification', { type: 'privacy_token' })
  })

  test('the block list is read by LID, and changes reach the own devices', async () => {
    const [a, b] = [await fresh(), await fresh()]
    await a.wire.query('blocklist', 'set', [
      node('item', { action: 'block', jid: b.phone.lid, pn_jid: b.phone.jid }),
    ])
    const told = await a.phone.inbox.take(tagged('notification', { type: 'account_sync' }))
    expect(child(child(told, 'blocklist'), 'item')?.attrs).toEqual({ action: 'block', jid: b.phone.lid })
    const list = child(await a.wire.query('blocklist', 'get', [node('list')]), 'list')
    expect(children(list).map(({ attrs }) => attrs.jid)).toEqual([b.phone.lid])
  })
})

test('a profile picture is set, shown and removed, and those who know the account hear of it', async () => {
  const [a, b] = [await fresh(), await fresh()]
  const query = node('query', {}, [node('devices')])
  await b.wire.query('usync', 'get', [
    node('usync', {}, [query, node('list', {}, [node('user', { jid: a.phone.jid })])]),
  ])
  await a.wire.query('w:profile:picture', 'set', [node('picture', { type: 'image' }, Buffer.from('jpeg'))])
  const told = await b.wire.take('notification', { type: 'picture' })
  expect(told.attrs.from).toBe(a.phone.lid)
  const id = child(told, 'set')?.attrs.id ?? '?'
  const shown = await b.wire.query(
    'w:profile:picture',
    'get',
    [node('picture', { type: 'preview', query: 'url' })],
    { target: a.phone.jid },
  )
  expect(child(shown, 'picture')?.attrs).toMatchObject({
    id,
    type: 'preview',
    url: `https://media.example:4443/pps/${id}.jpg`,
  })
  await a.wire.query('w:profile:picture', 'set', [])
  expect(child(await b.wire.take('notification', { type: 'picture' }), 'delete')).toBeDefined()
})

describe('small questions', () => {
  test('where media goes', async () => {
    const { wire } = await fresh()
    const answer = child(await wire.query('w:m', 'set', [node('media_conn')]), 'media_conn')
    expect(answer?.attrs.auth).toBe(lab.server.mediaAuth)
    expect(child(answer, 'host')?.attrs.hostname).toBe('media.example:4443')
  })

  test('props, once', async () => {
    const { wire } = await fresh()
    const props = child(await wire.query('abt', 'get', [node('props', { protocol: '1' })]), 'props')
    expect(children(props, 'prop').map(({ attrs }) => attrs.config_code)).toEqual(['10518', '9666', '14303'])
    const again = child(
      await wire.query('abt', 'get', [node('props', { protocol: '1', hash: props?.attrs.hash })]),
      'props',
    )
    expect(children(again)).toEqual([])
  })

  test('GraphQL by number: an unknown query is told inside the answer, a malformed one outside', async () => {
    const { wire } = await fresh()
    const ask = (content?: string) => wire.query('w:mex', 'get', [node('query', { query_id: '1' }, content)])
    const told = JSON.parse(childText(await ask(JSON.stringify({ variables: {} })), 'result') ?? '{}')
    expect(told).toMatchObject({ data: null, errors: [{ extensions: { error_code: 400 } }] })
    expect(outcome(await ask())).toBe('400')
    expect(outcome(await ask('{'))).toBe('400')
    expect(outcome(await ask('{"variables":null}'))).toBe('400')
    expect(outcome(await wire.query('w:mex', 'get', [node('query', {}, '{"variables":{}}')]))).toBe('400')
  })

  test.each(['w:p', 'w:stats', 'tos', 'urn:xmpp:whatsapp:dirty', 'w:biz', 'bot'])(
    '%s is heard',
    async (xmlns) => {
      const { wire } = await fresh()
      expect(outcome(await wire.query(xmlns, 'get', [node('x')]))).toBe('result')
    },
  )
})
