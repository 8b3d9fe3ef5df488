/** Looking people up (wire notes §6.1): devices, LIDs, whether a number is on WhatsApp, about texts. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { deviceHash, watchDevices } from '../devices'
import { lidOf, pnOf } from '../directory'
import { jidOf, parseJid } from '../jid'
import { child, children, childText, node, result } from '../node'
import { demand } from '../refusal'
import { entryOf } from '../table'
import type { Account } from '../types'
import type { Origin, World } from '../world'

const MOST_USERS = 5000

type Question = {
  world: World
  asker: Account
  /** How the account was named, and so has to be answered. */
  domain: 'lid' | 'pn'
  /** Undefined when nobody of that name is on WhatsApp. */
  account: Account | undefined
  user: BinaryNode
}

/** What each protocol of a query adds to a user; undefined adds nothing. */
const PROTOCOLS: Record<string, (question: Question) => BinaryNode | undefined> = {
  contact: ({ account, user }) => {
    const asked = childText(user, 'contact')
    return node('contact', { type: account === undefined ? 'out' : 'in' }, asked)
  },
  devices: ({ world, asker, account, domain }) => {
    if (account === undefined) return undefined
    watchDevices(world, asker, account, domain)
    const list = [...account.devices.values()].map((device) =>
      node('device', {
        id: String(device.id),
        'key-index': device.id === 0 ? undefined : String(device.keyIndex),
      }),
    )
    const content = [node('device-list', { hash: deviceHash([account], domain) }, list)]
    if (account.keyIndexList !== null) {
      const { signed, at } = account.keyIndexList
      content.push(node('key-index-list', { ts: String(at) }, signed))
    }
    return node('devices', {}, content)
  },
  lid: ({ account, domain }) =>
    account === undefined || domain === 'lid' ? undefined : node('lid', { val: lidOf(account) }),
  status: ({ world, account }) => {
    const about = account === undefined ? null : world.profiles.of(account).about
    return about === null ? node('status', { code: '401' }) : node('status', { t: about.at }, about.text)
  },
  disappearing_mode: ({ world, account }) => {
    if (account === undefined) return undefined
    const { duration, at } = world.profiles.of(account).disappearing
    return node('disappearing_mode', { duration, t: at })
  },
  picture: ({ world, account }) => {
    const picture = account === undefined ? undefined : world.pictures.get(account)
    return picture === undefined ? undefined : node('picture', { id: picture.id })
  },
}

/** `xmlns=usync`. */
export function handleUsync(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const usync = child(request, 'usync')
  const users = children(child(usync, 'list'), 'user')
  const protocols = children(child(usync, 'query')).map(({ tag }) => tag)
  demand(request.attrs.type === 'get' && usync !== undefined, 400, 'bad-request')
  demand(users.length <= MOST_USERS && protocols.length > 0, 406, 'not-acceptable')

  const list = users.map((user) => {
    const { jid, ...named } = identify(world, user)
    const question: Question = { world, asker: device.account, user, ...named }
    const content = protocols
      .map((protocol) => entryOf(PROTOCOLS, protocol)?.(question))
      .filter((item) => item !== undefined)
    return node('user', { jid }, content)
  })
  const { sid, mode, context } = usync.attrs
  const answers = protocols.map((protocol) => node(protocol))
  return result(request, [
    node('usync', { sid, mode, context, index: '0', last: 'true' }, [
      node('result', {}, answers),
      node('list', {}, list),
    ]),
  ])
}

/** Whom a `<user>` means: by address, or by a typed number, which is answered with the account's own spelling. */
function identify(
  world: World,
  user: BinaryNode,
): { jid: string; account: Account | undefined; domain: 'lid' | 'pn' } {
  const jid = parseJid(user.attrs.jid)
  if (jid !== undefined) {
    const domain = jid.server === 'lid' ? 'lid' : 'pn'
    return { jid: jidOf(jid.user, jid.server), account: world.directory.find(jid), domain }
  }
  const digits = (childText(user, 'contact') ?? '').replace(/\D/g, '')
  const account = world.directory.lookUp(digits)
  return { jid: account === undefined ? `${digits}@s.whatsapp.net` : pnOf(account), account, domain: 'pn' }
}
