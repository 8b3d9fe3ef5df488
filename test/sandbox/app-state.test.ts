/** App state between real Baileys clients, and the phones' codec against Baileys' own. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type BinaryNode,
  decodePatches,
  decodeSyncdSnapshot,
  encodeSyncdPatch,
  getMediaKeys,
  newLTHashState,
  proto,
  type WAMessage,
} from '@whiskeysockets/baileys'
import {
  type AppStateKey,
  BrokenPatch,
  COLLECTIONS,
  type CollectionState,
  decodePatch,
  emptyCollection,
  encodePatch,
  type Mutation,
  pullRequest,
  pushRequest,
  readCollection,
  UnknownKey,
} from '../../src/sandbox/app-state-patches'
import { bytesOf, child, node } from '../../src/sandbox/node'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  type Happened,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'
import { type Lab, startLab } from './support/lab'

const silent = {
  level: 'silent',
  child: () => silent,
  trace() {},
  debug() {},
  info() {},
  warn(_said: unknown, _text?: string) {},
  error() {},
}
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest()
const { SET, REMOVE } = proto.SyncdMutation.SyncdOperation
const key: AppStateKey = { id: Buffer.from('000011223344', 'hex'), data: randomBytes(32) }
const other: AppStateKey = { id: Buffer.from('000055667788', 'hex'), data: randomBytes(32) }
const keyOf = (id: Buffer) => [key, other].find((each) => id.equals(each.id))
const forLibrary = async (id: string) => {
  const known = keyOf(Buffer.from(id, 'base64'))
  return known ? proto.Message.AppStateSyncKeyData.fromObject({ keyData: known.data }) : undefined
}
const star = (message: string, starred: boolean): Mutation => ({
  operation: 'set',
  index: ['star', '49311@s.whatsapp.net', message, '0', '0'],
  value: { starAction: { starred }, timestamp: 1 },
  version: 2,
})
/** As the server hands it out. */
const numbered = (bytes: Uint8Array, version: number) => {
  const patch = proto.SyncdPatch.decode(bytes)
  patch.version = proto.SyncdVersion.create({ version })
  return Buffer.from(proto.SyncdPatch.encode(patch).finish())
}

/** A client's own view of the collection that mutes are in: its version and the hash of all that is in it. */
const stateOf = async ({ auth }: BaileysClient) => {
  const { regular_high: state } = await auth.keys.get('app-state-sync-version', ['regular_high'])
  return state && { version: state.version, hash: Buffer.from(state.hash).toString('hex') }
}
/** Resolves when one client has all that the other has, checked by itself. */
async function alike(client: BaileysClient, model: BaileysClient) {
  const wanted = JSON.stringify(await stateOf(model))
  while (JSON.stringify(await stateOf(client)) !== wanted)
    await new Promise((resolve) => setImmediate(resolve))
}

describe('a patch', () => {
  test('written here is read by Baileys, and the other way round, whatever came before', async () => {
    let ours = emptyCollection()
    let theirs = newLTHashState()
    const seen: string[] = []
    const mutations = [
      star('A', true),
      star('B', true),
      star('A', false),
      { ...star('B', true), operation: 'remove' as const },
      { ...star('A', false), operation: 'remove' as const },
      star('C', true),
      star('A', true),
      star('D', true),
    ]
    for (const [at, mutation] of mutations.entries()) {
      const version = at + 1
      const written =
        at % 2 === 0 ? await encodePatch('regular_low', mutation, ours, at === 2 ? other : key) : null
      const encoded =
        written?.bytes ??
        proto.SyncdPatch.encode(
          (
            await encodeSyncdPatch(
              {
                type: 'regular_low',
                index: mutation.index,
                syncAction: mutation.value,
                apiVersion: mutation.version,
                operation: mutation.operation === 'set' ? SET : REMOVE,
              },
              Buffer.from(key.id).toString('base64'),
              theirs,
              forLibrary,
            )
          ).patch,
        ).finish()
      const patch = numbered(encoded, version)
      const read = await decodePatch('regular_low', patch, ours, keyOf)
      expect(read.mutations).toMatchObject([
        { ...mutation, value: { starAction: mutation.value.starAction ?? {} } },
      ])
      if (written) expect(read.state).toEqual(written.state)
      ours = read.state
      const decoded = await decodePatches(
        'regular_low',
        [proto.SyncdPatch.decode(patch)],
        theirs,
        forLibrary,
        {},
        undefined,
        { ...silent, warn: (_: unknown, text = '') => void seen.push(text) },
      )
      theirs = decoded.state
      expect(Buffer.compare(theirs.hash, ours.hash)).toBe(0)
      expect(Object.keys(theirs.indexValueMap)).toEqual(Object.keys(ours.values))
    }
    expect(seen).toEqual([])
    expect(ours.version).toBe(mutations.length)
  })

  test('leaves the state before as it was', async () => {
    const { state } = await encodePatch('regular', star('A', true), emptyCollection(), key)
    const looks = () => JSON.stringify(state)
    const before = looks()
    const { bytes } = await encodePatch('regular', star('B', true), state, key)
    await decodePatch('regular', numbered(bytes, 2), state, keyOf)
    expect(looks()).toBe(before)
  })

  const good = async () =>
    numbered((await encodePatch('regular', star('A', true), emptyCollection(), key)).bytes, 1)
  const changed = async (change: (patch: proto.SyncdPatch) => void) => {
    const patch = proto.SyncdPatch.decode(await good())
    change(patch)
    return Buffer.from(proto.SyncdPatch.encode(patch).finish())
  }
  const flip = (bytes: Uint8Array | null | undefined) => {
    if (!bytes) throw new Error('nothing to flip')
    bytes[0] = (bytes[0] ?? 0) ^ 1
  }
  test.each<[string, () => Promise<Buffer>]>([
    ['of another version', async () => numbered(await good(), 2)],
    ['with another patch MAC', () => changed(({ patchMac }) => flip(patchMac))],
    ['with another snapshot MAC', () => changed(({ snapshotMac }) => flip(snapshotMac))],
    ['with another value', () => changed(({ mutations }) => flip(mutations[0]?.record?.value?.blob))],
    ['with another index', () => changed(({ mutations }) => flip(mutations[0]?.record?.index?.blob))],
    [
      'that sets what it was sealed to remove',
      () =>
        changed(({ mutations }) => {
          if (mutations[0]) mutations[0].operation = REMOVE
        }),
    ],
  ])('%s is refused', async (_, make) => {
    await decodePatch('regular', await good(), emptyCollection(), keyOf)
    await expect(decodePatch('regular', await make(), emptyCollection(), keyOf)).rejects.toThrow(BrokenPatch)
  })

  test('of another collection, or upon another state, is refused', async () => {
    await expect(decodePatch('regular_low', await good(), emptyCollection(), keyOf)).rejects.toThrow(
      BrokenPatch,
    )
    const { state } = await encodePatch('regular', star('Z', true), emptyCollection(), key)
    const elsewhere = { ...state, version: 0 }
    await expect(decodePatch('regular', await good(), elsewhere, keyOf)).rejects.toThrow(BrokenPatch)
  })

  test('under a key nobody has is told apart', async () => {
    await expect(decodePatch('regular', await good(), emptyCollection(), () => undefined)).rejects.toThrow(
      UnknownKey,
    )
    const mixed = await changed(({ mutations }) => {
      const record = mutations[0]?.record
      if (record) record.keyId = { id: Buffer.from('gone') }
    })
    await expect(decodePatch('regular', mixed, emptyCollection(), keyOf)).rejects.toThrow(UnknownKey)
  })
})

describe('the server', () => {
  let lab: Lab
  const files: Buffer[] = []
  beforeAll(async () => {
    lab = await startLab({ storeFile: (sealed) => `/file/${files.push(sealed)}` })
  })
  afterAll(() => lab.stop())

  const linked = async (phoneNumber: string) => {
    const { companion } = await lab.linked(phoneNumber)
    const wire = await companion.online()
    return async (version: number, content?: Uint8Array, return_snapshot = 'false') => {
      const patch = content && [node('patch', {}, content)]
      const collection = node(
        'collection',
        { name: 'regular', version: String(version), return_snapshot },
        patch,
      )
      const answer = await wire.query('w:sync:app:state', 'set', [node('sync', {}, [collection])])
      const snapshot = child(child(child(answer, 'sync'), 'collection'), 'snapshot')
      return { ...readCollection(answer), snapshot: bytesOf(snapshot) }
    }
  }
  type Sync = Awaited<ReturnType<typeof linked>>
  const write = async (sync: Sync, mutations: Mutation[]) => {
    let state = emptyCollection()
    for (const mutation of mutations) {
      const made = await encodePatch('regular', mutation, state, key)
      expect((await sync(state.version, made.bytes)).conflict).toBe(false)
      state = made.state
    }
    return state
  }
  const stars = (count: number) => Array.from({ length: count }, (_, at) => star(`M${at % 20}`, at % 2 === 0))
  const isWhole = async (blob: Buffer | undefined, state: CollectionState) => {
    const { mediaKey, directPath, fileEncSha256, fileSha256 } = proto.ExternalBlobReference.decode(
      blob ?? Buffer.of(),
    )
    const sealed = files[Number(directPath?.split('/').pop()) - 1] ?? Buffer.of()
    expect(Buffer.from(fileEncSha256 ?? [])).toEqual(sha256(sealed))
    const keys = await getMediaKeys(mediaKey, 'md-app-state')
    const decipher = createDecipheriv('aes-256-cbc', keys.cipherKey, keys.iv)
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -10)), decipher.final()])
    expect(Buffer.from(fileSha256 ?? [])).toEqual(sha256(plain))
    const warnings: unknown[] = []
    const logger = { ...silent, warn: (said: unknown) => void warnings.push(said) }
    const snapshot = proto.SyncdSnapshot.decode(plain)
    const whole = await decodeSyncdSnapshot('regular', snapshot, forLibrary, undefined, true, logger)
    expect(warnings).toEqual([])
    expect(whole.state.version).toBe(state.version)
    expect(Buffer.compare(whole.state.hash, state.hash)).toBe(0)
  }

  test('hands out a long collection page by page, also to one who comes too late to write', async () => {
    const sync = await linked('4932000000021')
    await write(sync, stars(101))
    let state = emptyCollection()
    const pages: number[] = []
    for (let more = true; more; ) {
      const page = await sync(state.version)
      pages.push(page.patches.length)
      for (const patch of page.patches) state = (await decodePatch('regular', patch, state, keyOf)).state
      more = page.more
    }
    expect(pages).toEqual([50, 50, 1])
    const { bytes } = await encodePatch('regular', star('late', true), emptyCollection(), key)
    expect(await sync(0, bytes)).toMatchObject({ conflict: true, more: true })
    expect((await sync(0, bytes)).patches).toHaveLength(50)
    expect(await sync(100, bytes)).toMatchObject({ conflict: true, more: false })
  })

  test('gives a whole to those who begin late and to those who have lost their way', async () => {
    const sync = await linked('4932000000022')
    const state = await write(sync, [...stars(50), { ...star('M1', true), operation: 'remove' }])
    const whole = await sync(0, undefined, 'true')
    expect(whole.patches).toEqual([])
    await isWhole(whole.snapshot, state)
    await isWhole((await sync(51, undefined, 'true')).snapshot, state)
    expect((await sync(0)).snapshot).toBeUndefined()

    const short = await linked('4932000000023')
    const few = await write(short, stars(3))
    expect(await short(0, undefined, 'true')).toMatchObject({ snapshot: undefined, more: false })
    await isWhole((await short(2, undefined, 'true')).snapshot, few)
    const empty = await linked('4932000000024')
    expect(await empty(0, undefined, 'true')).toMatchObject({ snapshot: undefined, patches: [] })
  })
})

describe('between devices', () => {
  let sandbox: TestSandbox
  let anna: Phone
  let ben: Phone
  let first: BaileysClient
  let second: BaileysClient
  beforeAll(async () => {
    sandbox = await startSandbox()
    anna = sandbox.addPhone({ phoneNumber: '4932000000001', name: 'Anna' })
    ben = sandbox.addPhone({ phoneNumber: '4932000000002', name: 'Ben' })
    first = await pairWithBaileys(sandbox, anna, { shouldSyncHistoryMessage: () => true })
    second = await pairWithBaileys(sandbox, anna, { shouldSyncHistoryMessage: () => true })
    await keys(first)
    await keys(second)
  })
  afterAll(async () => {
    await first.close()
    await second.close()
    await sandbox.stop()
  })

  const keys = (client: BaileysClient) =>
    client.until((event) => event.name === 'creds.update' && event.data.myAppStateKeyId)
  const chatUpdate = (client: BaileysClient, fits: (chat: Record<string, unknown>) => boolean) =>
    client.until(
      (event) =>
        event.name === 'chats.update' && event.data.find((chat) => fits(chat as Record<string, unknown>)),
    )
  const received = async (text: string): Promise<WAMessage> => {
    await ben.send(anna.jid, text)
    await second.untilMessage((message) => textOf(message) === text)
    return await first.untilMessage((message) => textOf(message) === text)
  }

  test('what one client stars, pins, archives, mutes and reads is so on the other', async () => {
    const message = await received('Remember this')
    const chat = ben.jid
    const lastMessages = [{ key: message.key, messageTimestamp: message.messageTimestamp ?? 1 }]
    const { sock } = first

    await sock.chatModify(
      { star: { messages: [{ id: message.key.id ?? '', fromMe: false }], star: true } },
      chat,
    )
    const starred = (event: Happened) =>
      event.name === 'messages.update' &&
      event.data.find(({ key: named, update }) => named.id === message.key.id && update.starred === true)
    expect((await second.until(starred)).key).toMatchObject({ remoteJid: chat })
    await sock.chatModify({ pin: true }, chat)
    await chatUpdate(second, (each) => each.id === chat && Boolean(each.pinned))
    await sock.chatModify({ archive: true, lastMessages }, chat)
    await chatUpdate(second, (each) => each.id === chat && each.archived === true)
    await sock.chatModify({ mute: 1_900_000_000_000 }, chat)
    await chatUpdate(second, (each) => each.id === chat && Boolean(each.muteEndTime))
    await sock.chatModify({ markRead: false, lastMessages }, chat)
    await chatUpdate(second, (each) => each.id === chat && each.unreadCount === -1)
    // And back: the second client writes upon what the first one wrote.
    await second.sock.chatModify({ pin: false }, chat)
    await chatUpdate(first, (each) => each.id === chat && each.pinned === null)
  })

  test('a client that was away catches up, in as many answers as it takes', async () => {
    await second.sock.end(undefined)
    for (let at = 0; at < 120; at++) await first.sock.chatModify({ mute: 2_000_000_000_000 + at }, ben.jid)
    await second.connect()
    await chatUpdate(second, (each) => Number(each.muteEndTime) === 2_000_000_000_119)
  })

  test('a new client gets a long collection in one piece, from the media host', async () => {
    const third = await pairWithBaileys(sandbox, anna, { shouldSyncHistoryMessage: () => true })
    await keys(third)
    const snapshots = () =>
      sandbox.server.log
        .entries({ tag: 'iq' })
        .filter(({ stanza }) => JSON.stringify(stanza).includes('"snapshot"'))
    await alike(third, first)
    expect(snapshots().length).toBeGreaterThan(0)
    await third.sock.chatModify({ pin: true }, ben.jid)
    await chatUpdate(first, (each) => each.id === ben.jid && Boolean(each.pinned))
    await third.close()
  })
})

test('patches outlive the process of the sandbox', async () => {
  const stateFile = join(mkdtempSync(join(tmpdir(), 'app-state-')), 'state.sqlite')
  const phoneNumber = '4932000000009'
  let sandbox = await startSandbox({ stateFile })
  const nina = sandbox.addPhone({ phoneNumber, name: 'Nina' })
  const options = { shouldSyncHistoryMessage: () => true }
  const before = await pairWithBaileys(sandbox, nina, options)
  await before.until((event) => event.name === 'creds.update' && event.data.myAppStateKeyId)
  await before.sock.chatModify({ mute: 2_000_000_000_000 }, nina.jid)
  await before.close()
  await sandbox.stop()

  sandbox = await startSandbox({ stateFile })
  const after = await pairWithBaileys(sandbox, sandbox.phone(phoneNumber), options)
  await alike(after, before)
  expect(await stateOf(after)).toMatchObject({ version: 1 })
  await after.close()
  await sandbox.stop()
})

test('requests and answers are written and read in one place', () => {
  expect(COLLECTIONS).toHaveLength(5)
  const { attrs, content } = pushRequest('regular', 3, Buffer.from('p'))
  expect(attrs).toMatchObject({ xmlns: 'w:sync:app:state', type: 'set' })
  expect(JSON.stringify(content)).toContain('"version":"3"')
  expect(JSON.stringify(pullRequest('regular', 4))).not.toContain('"patch"')
  const answer = (more: Record<string, string>, content: BinaryNode[]) =>
    node('iq', {}, [node('sync', {}, [node('collection', { name: 'regular', ...more }, content)])])
  const patches = node('patches', {}, [node('patch', {}, 'one')])
  expect(readCollection(answer({ has_more_patches: 'true' }, [patches]))).toEqual({
    name: 'regular',
    conflict: false,
    more: true,
    patches: [Buffer.from('one')],
  })
  expect(readCollection(answer({}, [node('error', { code: '409' }), patches]))).toMatchObject({
    conflict: true,
    more: false,
  })
})
