/** Channels with real Baileys clients on both sides, through the control API, and across a restart. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proto } from '@whiskeysockets/baileys'
import { child, children } from '../../src/sandbox/node'
import type { Phone } from '../../src/sandbox/phone'
import { createSandbox, type Sandbox } from '../../src/sandbox/sandbox'
import {
  type BaileysClient,
  hasStatus,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'
import { control } from './support/control'

type Shown = {
  code: string
  channel: { jid: string; owner: string; admins: string[]; followers: string[]; description: string }
  channels: { jid: string }[]
  posts: object[]
}
const serve = (sandbox: Sandbox) => control<Shown>(sandbox)

let sandbox: TestSandbox
let call: ReturnType<typeof serve>
let anna: Phone
let ben: Phone
let a: BaileysClient
let b: BaileysClient

beforeAll(async () => {
  sandbox = await startSandbox()
  call = serve(sandbox)
  anna = sandbox.addPhone({ phoneNumber: '4934000000001', name: 'Anna' })
  ben = sandbox.addPhone({ phoneNumber: '4934000000002', name: 'Ben' })
  a = await pairWithBaileys(sandbox, anna)
  b = await pairWithBaileys(sandbox, ben)
})
afterAll(async () => {
  await a.close()
  await b.close()
  await sandbox.stop()
})

test('one client makes a channel and posts, another follows, reads and reacts', async () => {
  const made = await a.sock.newsletterCreate('Weather', 'Every day')
  expect(made).toMatchObject({ name: 'Weather', description: 'Every day', subscribers: 0, mute_state: 'OFF' })
  const jid = made.id
  expect(await b.sock.newsletterMetadata('invite', made.invite ?? '')).toMatchObject({ id: jid })
  await b.sock.newsletterFollow(jid)
  expect(await a.sock.newsletterSubscribers(jid)).toEqual({ subscribers: 1 })

  const sent = await a.sock.sendMessage(jid, { text: 'Sun' })
  const got = await b.untilMessage((message) => textOf(message) === 'Sun')
  expect(got.key).toMatchObject({ remoteJid: jid, id: sent?.key.id ?? '', server_id: '1' })

  await b.sock.newsletterReactMessage(jid, '1', '☀️')
  const page = await a.sock.newsletterFetchMessages(jid, 10, 0, 0)
  const [shown] = children(child(child(page, 'message_updates'), 'messages'), 'message')
  expect(shown?.attrs).toMatchObject({ id: sent?.key.id ?? '', server_id: '1', type: 'text' })
  expect(child(child(shown, 'reactions'), 'reaction')?.attrs).toEqual({ code: '☀️', count: '1' })
  await b.sock.newsletterReactMessage(jid, '1')
  expect(await a.sock.subscribeNewsletterUpdates(jid)).toEqual({ duration: '300' })

  await a.sock.newsletterUpdateName(jid, 'Climate')
  const renamed = await b.until(
    (event) => event.name === 'newsletter-settings.update' && event.data.id === jid && event.data,
  )
  expect(renamed.update).toEqual({ name: 'Climate' })
  await b.sock.newsletterMute(jid)
  await b.sock.newsletterUnfollow(jid)
  expect(await a.sock.newsletterAdminCount(jid)).toBe(1)
  await a.sock.newsletterDelete(jid)
  await expect(b.sock.newsletterMetadata('jid', jid)).rejects.toThrow('Not Found')
})

test('a follower who may not post learns so from the acknowledgement', async () => {
  const { id } = await a.sock.newsletterCreate('Mine')
  await b.sock.newsletterFollow(id)
  const refused = await b.sock.sendMessage(id, { text: 'Ours?' })
  await b.until((event) => hasStatus(event, refused?.key.id ?? '', proto.WebMessageInfo.Status.ERROR))
})

describe('the control API', () => {
  test('makes channels, followers, admins and views, and shows what was posted', async () => {
    const { status, body } = await call('POST', '/channels', { owner: anna.phoneNumber, name: 'By hand' })
    expect(status).toBe(201)
    const { jid } = body.channel
    expect(body.channel).toMatchObject({
      owner: anna.phoneNumber,
      admins: [],
      followers: [],
      description: '',
    })
    const at = (path: string) => `/channels/${encodeURIComponent(jid)}${path}`
    const { phoneNumber } = ben
    expect((await call('POST', at('/followers'), { phoneNumber })).body.channel.followers).toEqual([
      phoneNumber,
    ])
    await a.sock.sendMessage(jid, { text: 'Hello all' })
    await b.untilMessage((message) => textOf(message) === 'Hello all')
    await b.sock.newsletterReactMessage(jid, '1', '👍')
    await call('POST', at('/views'), { phoneNumber, serverId: 1 })
    expect((await call('GET', at(''))).body.posts).toMatchObject([
      { serverId: 1, by: anna.phoneNumber, reactions: { '👍': 1 }, views: 1, edited: false, revoked: false },
    ])
    expect((await call('POST', at('/admins'), { phoneNumber })).body.channel.admins).toEqual([phoneNumber])
    await b.sock.sendMessage(jid, { text: 'Me too' })
    await a.untilMessage((message) => textOf(message) === 'Me too')
    expect((await call('POST', at('/admins'), { phoneNumber, admin: false })).body.channel.admins).toEqual([])
    const left = await call('POST', at('/followers'), { phoneNumber, follow: false })
    expect(left.body.channel.followers).toEqual([])
    expect((await call('GET', '/channels')).body.channels.map((each: { jid: string }) => each.jid)).toContain(
      jid,
    )

    expect((await call('GET', '/channels/1@newsletter')).body.code).toBe('CHANNEL_NOT_FOUND')
    expect((await call('POST', at('/views'), { phoneNumber, serverId: 9 })).body.code).toBe(
      'MESSAGE_NOT_FOUND',
    )
    const owner = { phoneNumber: anna.phoneNumber }
    expect((await call('POST', at('/followers'), owner)).body.code).toBe('SANDBOX_REFUSED')
    expect((await call('POST', at('/admins'), owner)).body.code).toBe('SANDBOX_REFUSED')
    expect((await call('POST', '/channels', { owner: '4934999', name: 'X' })).body.code).toBe(
      'PHONE_NOT_FOUND',
    )
  })
})

test('channels outlive the process, with posts, reactions and views', async () => {
  const stateFile = join(mkdtempSync(join(tmpdir(), 'channels-')), 'state.sqlite')
  const first = await startSandbox({ stateFile })
  const nina = first.addPhone({ phoneNumber: '4934000000011', name: 'Nina' })
  const otto = first.addPhone({ phoneNumber: '4934000000012', name: 'Otto' })
  const client = await pairWithBaileys(first, nina)
  const reader = await pairWithBaileys(first, otto)
  const { id: jid } = await client.sock.newsletterCreate('Kept')
  await reader.sock.newsletterFollow(jid)
  await reader.sock.newsletterMute(jid)
  await client.sock.sendMessage(jid, { text: 'Remember' })
  await reader.untilMessage((message) => textOf(message) === 'Remember')
  await reader.sock.newsletterReactMessage(jid, '1', '👍')
  await serve(first)('POST', `/channels/${jid}/views`, { phoneNumber: otto.phoneNumber, serverId: 1 })
  const show = (each: Sandbox) => serve(each)('GET', `/channels/${jid}`)
  const before = await show(first)
  expect(before.body.posts).toMatchObject([{ reactions: { '👍': 1 }, views: 1 }])
  await client.close()
  await reader.close()
  await first.stop()

  const again = createSandbox({ stateFile })
  expect(await show(again)).toEqual(before)
  const restored = again.server.world.channels.get(jid)
  expect(restored?.nextServerId).toBe(2)
  expect([...(restored?.followers.values() ?? [])]).toEqual([{ muted: true }])
  expect([...(restored?.posts.values() ?? [])].map(({ content }) => Buffer.isBuffer(content))).toEqual([true])
  if (restored) again.server.world.channels.delete(restored)
  await again.stop()

  const emptied = createSandbox({ stateFile })
  expect([...emptied.server.world.channels.all]).toEqual([])
  await emptied.stop()
})
