/**
 * The server's side of a sandbox that survives its process: accounts, devices, queues, groups and profiles, written
 * piece by piece whenever a piece has changed.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Channel, Post } from './channels'
import type { Group, Role } from './groups'
import type { SandboxState } from './state'
import type { Account, Device } from './types'
import type { World } from './world'

const SCOPE = 'world'

/** JSON with bytes; other kinds of objects do not occur in what is kept. */
const encode = (value: unknown) =>
  Buffer.from(
    JSON.stringify(value, (_, item) => {
      // `JSON.stringify` has called Buffer's own toJSON by now.
      if (item?.type === 'Buffer' && Array.isArray(item.data))
        return { $: Buffer.from(item.data).toString('base64') }
      return item instanceof Uint8Array ? { $: Buffer.from(item).toString('base64') } : item
    }),
  )
const decode = (bytes: Buffer) =>
  JSON.parse(bytes.toString(), (_, item) =>
    typeof item?.$ === 'string' && Object.keys(item).length === 1 ? Buffer.from(item.$, 'base64') : item,
  )

export interface WorldMemory {
  /** Writes what has changed since the last time, in one transaction. */
  save(): void
}

/** Fills an empty world with what the state remembers, and remembers what becomes of it. */
export function openWorldMemory(state: SandboxState, world: World): WorldMemory {
  const places = createPlaces()
  restore(state, world, places)
  const written = new Map(state.entries(SCOPE).map(({ key }) => [key, '']))
  return {
    save() {
      const changes = new Map<string, Buffer | null>()
      const present = new Set<string>()
      for (const [key, mark, value] of pieces(world, places)) {
        present.add(key)
        if (written.get(key) === mark) continue
        written.set(key, mark)
        changes.set(key, encode(value()))
      }
      for (const key of written.keys()) {
        if (present.has(key)) continue
        written.delete(key)
        changes.set(key, null)
      }
      state.write(SCOPE, changes)
    },
  }
}

/** Name, a mark that changes when the piece does, and the piece. */
type Piece = [key: string, mark: string, value: () => unknown]

function* pieces(world: World, places: Places): Generator<Piece> {
  for (const account of world.directory.accounts) {
    const meta = accountRow(account)
    yield [`account ${account.phoneNumber}`, JSON.stringify(meta), () => meta]
    const profile = profileRow(world, account)
    // A collection only grows, and its patches are long.
    const { collections, ...rest } = profile
    const sizes = collections.map(([name, { patches }]) => [name, patches.length])
    yield [`profile ${account.phoneNumber}`, JSON.stringify([rest, sizes]), () => profile]
    // Chats are never taken back, so their number tells whether there are new ones.
    const chats = world.chats.of(account)
    if (chats.size > 0) {
      yield [`chats ${account.phoneNumber}`, `${chats.size}`, () => numbersOf(chats)]
    }
    for (const device of account.devices.values()) yield* devicePieces(device, places)
  }
  for (const group of world.groups.all) {
    const row = groupRow(group)
    yield [`group ${group.id}`, JSON.stringify(row), () => row]
  }
  for (const channel of world.channels.all) yield* channelPieces(channel)
  const watchers = watcherRows(world)
  yield ['watchers', JSON.stringify(watchers), () => watchers]
}

const numbersOf = (accounts: Iterable<Account>) => [...accounts].map(({ phoneNumber }) => phoneNumber)
const accountRow = ({ devices: _, ...account }: Account) => account

function* devicePieces(device: Device, places: Places): Generator<Piece> {
  const { account, link: _, pending, preKeys, ...row } = device
  const name = `${account.phoneNumber} ${String(device.id).padStart(3, '0')}`
  yield [
    `device ${name}`,
    `${row.registrationId} ${row.signedPreKey.id} ${row.identityKey.toString('hex')} ${row.signedPreKey.signature.toString('hex')}`,
    () => row,
  ]
  // Keys are added at the end and taken from the front.
  yield [`keys ${name}`, `${preKeys.length} ${preKeys[0]?.id} ${preKeys.at(-1)?.id}`, () => preKeys]
  // Each waiting stanza by itself: a long queue must not be written anew for every stanza that joins it.
  for (const stanza of pending) yield [`queue ${name} ${places.of(stanza)}`, 'waits', () => stanza]
}

/** Numbers for stanzas in the order in which they were first seen, which is their order in each queue. */
type Places = { of(stanza: BinaryNode): string; set(stanza: BinaryNode, place: string): void }

function createPlaces(): Places {
  const places = new WeakMap<BinaryNode, string>()
  let last = 0
  return {
    of(stanza) {
      const known = places.get(stanza)
      if (known !== undefined) return known
      const place = String(++last).padStart(12, '0')
      places.set(stanza, place)
      return place
    },
    set(stanza, place) {
      places.set(stanza, place)
      last = Math.max(last, Number(place))
    },
  }
}

function profileRow(world: World, account: Account) {
  const profile = world.profiles.of(account)
  return {
    privacy: [...profile.privacy],
    blocked: numbersOf(profile.blocked),
    about: profile.about,
    disappearing: profile.disappearing,
    collections: [...profile.collections],
    tokens: [...profile.tokens].map(([{ phoneNumber }, week]) => [phoneNumber, week] as const),
  }
}

const groupRow = (group: Group) => ({
  ...group,
  subjectBy: group.subjectBy.phoneNumber,
  createdBy: group.createdBy.phoneNumber,
  members: [...group.members].map(([{ phoneNumber }, role]) => [phoneNumber, role] as const),
  description: group.description && { ...group.description, by: group.description.by.phoneNumber },
})

/** Each post by itself: reactions and views change one of many. */
function* channelPieces({ posts, listeners: _, ...channel }: Channel): Generator<Piece> {
  const row = {
    ...channel,
    owner: channel.owner.phoneNumber,
    admins: numbersOf(channel.admins),
    followers: [...channel.followers].map(([{ phoneNumber }, how]) => [phoneNumber, how] as const),
  }
  yield [`channel ${channel.id}`, JSON.stringify({ ...row, picture: row.picture?.id }), () => row]
  for (const post of posts.values()) {
    const value = () => ({
      ...post,
      by: post.by.phoneNumber,
      reactions: [...post.reactions].map(([{ phoneNumber }, code]) => [phoneNumber, code] as const),
      views: numbersOf(post.views),
    })
    yield [`post ${channel.id} ${post.serverId}`, String(post.revision), value]
  }
}

function restoreChannels(world: World, all: Rows, find: (phoneNumber: string) => Account): void {
  for (const { row } of all('channel')) {
    const posts = all(`post ${row.id}`).map(
      ({ row: post }): Post => ({
        ...post,
        by: find(post.by),
        reactions: new Map(post.reactions.map(([number, code]: [string, string]) => [find(number), code])),
        views: new Set(post.views.map(find)),
      }),
    )
    posts.sort((a, b) => a.serverId - b.serverId)
    world.channels.adopt({
      ...row,
      owner: find(row.owner),
      admins: new Set(row.admins.map(find)),
      followers: new Map(row.followers.map(([number, how]: [string, object]) => [find(number), how])),
      posts: new Map(posts.map((post) => [post.serverId, post])),
      listeners: new Map(),
    })
  }
}

const watcherRows = (world: World) =>
  [...world.watchers].map(([account, watchers]) => [
    account.phoneNumber,
    [...watchers].map(([watcher, domains]) => [watcher.phoneNumber, [...domains]]),
  ])

/** What is remembered of a kind: the names, and the rows as JSON had them. */
type Rows = (kind: string) => { key: string; row: ReturnType<typeof decode> }[]

function restore(state: SandboxState, world: World, places: Places): void {
  const rows = new Map<string, Buffer>(state.entries(SCOPE).map(({ key, value }) => [key, value]))
  const all: Rows = (kind) =>
    [...rows].flatMap(([key, value]) => (key.startsWith(`${kind} `) ? [{ key, row: decode(value) }] : []))
  const one = (key: string) => {
    const stored = rows.get(key)
    return stored ? decode(stored) : null
  }
  const find = (phoneNumber: string): Account => {
    const account = world.directory.byPhoneNumber(phoneNumber)
    if (!account) throw new Error(`the sandbox's state names an account ${phoneNumber} that is not in it`)
    return account
  }

  for (const { row } of all('account')) world.directory.adopt({ ...row, devices: new Map() })
  for (const { key, row } of all('device')) {
    const name = key.slice('device '.length)
    const account = find(name.split(' ')[0] ?? '')
    const preKeys = one(`keys ${name}`) ?? []
    const pending = all(`queue ${name}`).map(({ key: place, row: stanza }) => {
      places.set(stanza, place.slice(place.lastIndexOf(' ') + 1))
      return stanza
    })
    account.devices.set(row.id, { ...row, account, preKeys, pending, link: null })
  }
  for (const { key, row } of all('profile')) {
    const profile = world.profiles.of(find(key.slice('profile '.length)))
    profile.privacy = new Map(row.privacy)
    profile.blocked = new Set(row.blocked.map(find))
    profile.about = row.about
    profile.disappearing = row.disappearing
    profile.collections = new Map(row.collections)
    profile.tokens = new Map(row.tokens.map(([number, week]: [string, number]) => [find(number), week]))
  }
  for (const { key, row } of all('chats')) {
    for (const other of row) world.chats.note(find(key.slice('chats '.length)), find(other))
  }
  for (const { row } of all('group')) {
    world.groups.adopt({
      ...row,
      subjectBy: find(row.subjectBy),
      createdBy: find(row.createdBy),
      members: new Map(row.members.map(([number, role]: [string, Role]) => [find(number), role])),
      description: row.description && { ...row.description, by: find(row.description.by) },
    })
  }
  restoreChannels(world, all, find)
  for (const [number, watchers] of one('watchers') ?? []) {
    const known = watchers.map(([watcher, domains]: [string, ('lid' | 'pn')[]]) => [
      find(watcher),
      new Set(domains),
    ])
    world.watchers.set(find(number), new Map(known))
  }
}
