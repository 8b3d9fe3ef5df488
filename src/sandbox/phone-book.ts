/**
 * What a phone must look up before it can speak: a person's devices, their keys, a group's members. Answers are
 * remembered until the server says that they changed.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { parseJid } from './jid'
import { bytesOf, child, childBytes, children, node, readNumber, SERVER } from './node'
import { type KeyBundle, type PhoneSignal, withDevice } from './phone-signal'
import { Refusal } from './refusal'
import type { PhoneUplink } from './types'

export type GroupInfo = {
  jid: string
  subject: string
  addressing: 'lid' | 'pn'
  /** Bare JIDs in the group's own addressing. */
  members: string[]
  /** Those of the members who may do more. */
  admins: string[]
}

/** Thrown when a number or LID that a phone wants to reach has no account. */
export class NotOnWhatsApp extends Error {
  constructor(readonly jid: string) {
    super(`${jid} is not on WhatsApp`)
    this.name = 'NotOnWhatsApp'
  }
}

export interface PhoneBook {
  /** The devices of these people, as device JIDs in the addressing asked in; the phone itself is device 0. */
  devicesOf(users: string[]): Promise<string[]>
  /** Opens sessions with those devices that have none; `renew` replaces existing ones. */
  openSessions(devices: string[], renew?: boolean): Promise<void>
  group(jid: string): Promise<GroupInfo>
  /** Null for a group that the phone is not in (any more): it tells nothing. */
  groupIfMember(jid: string): Promise<GroupInfo | null>
  forgetDevices(user: string): void
  forgetGroup(jid: string): void
}

/** Makes a phone's address book over its line to the server. */
export function createPhoneBook(uplink: () => PhoneUplink, signal: PhoneSignal): PhoneBook {
  const devices = new Map<string, string[]>()
  const groups = new Map<string, GroupInfo>()
  let sync = 0

  async function lookUpDevices(users: string[]): Promise<void> {
    const answer = await uplink().query(
      node('iq', { type: 'get', xmlns: 'usync', to: SERVER }, [
        node(
          'usync',
          { sid: `phone.${++sync}`, mode: 'query', context: 'message', index: '0', last: 'true' },
          [
            node('query', {}, [node('devices', { version: '2' }), node('lid')]),
            node(
              'list',
              {},
              users.map((jid) => node('user', { jid })),
            ),
          ],
        ),
      ]),
    )
    for (const user of children(child(child(answer, 'usync'), 'list'), 'user')) {
      const { jid } = user.attrs
      const list = child(child(user, 'devices'), 'device-list')
      if (!jid || !list) continue
      const lid = child(user, 'lid')?.attrs.val
      if (lid && parseJid(jid)?.server === 's.whatsapp.net') await signal.learn(jid, lid)
      devices.set(
        jid,
        children(list, 'device').map((device) => withDevice(jid, Number(device.attrs.id))),
      )
    }
  }

  async function group(jid: string): Promise<GroupInfo> {
    const known = groups.get(jid)
    if (known) return known
    const answer = await uplink().query(
      node('iq', { type: 'get', xmlns: 'w:g2', to: jid }, [node('query', { request: 'interactive' })]),
    )
    const group = child(answer, 'group')
    const people = children(group, 'participant')
    const info: GroupInfo = {
      jid,
      subject: group?.attrs.subject ?? '',
      addressing: group?.attrs.addressing_mode === 'pn' ? 'pn' : 'lid',
      members: people.flatMap(({ attrs }) => attrs.jid ?? []),
      admins: people.flatMap(({ attrs }) => (attrs.type && attrs.jid ? attrs.jid : [])),
    }
    for (const { attrs } of people) {
      const other = attrs.phone_number ?? attrs.lid
      if (!attrs.jid || !other) continue
      await (info.addressing === 'lid' ? signal.learn(other, attrs.jid) : signal.learn(attrs.jid, other))
    }
    groups.set(jid, info)
    return info
  }

  return {
    async devicesOf(users) {
      const missing = [...new Set(users)].filter((user) => !devices.has(user))
      if (missing.length > 0) await lookUpDevices(missing)
      return [...new Set(users)].flatMap((user) => {
        const found = devices.get(user)
        if (!found) throw new NotOnWhatsApp(user)
        return found
      })
    },

    async openSessions(wanted, renew = false) {
      const missing: string[] = []
      for (const jid of wanted) if (renew || !(await signal.hasSession(jid))) missing.push(jid)
      if (missing.length === 0) return
      const answer = await uplink().query(
        node('iq', { type: 'get', xmlns: 'encrypt', to: SERVER }, [
          node(
            'key',
            {},
            missing.map((jid) => node('user', { jid, ...(renew ? { reason: 'identity' } : {}) })),
          ),
        ]),
      )
      for (const user of children(child(answer, 'list'), 'user')) {
        if (!child(user, 'error')) await signal.openSession(readBundle(user, user.attrs.jid ?? '', user))
      }
    },

    group,
    async groupIfMember(jid) {
      try {
        return await group(jid)
      } catch (error) {
        if (error instanceof Refusal) return null
        throw error
      }
    },

    forgetDevices: (user) => {
      devices.delete(user)
    },
    forgetGroup: (jid) => {
      groups.delete(jid)
    },
  }
}

/** Reads a bundle whose keys are children of `keys` and whose registration id is a child of `outer`. */
export function readBundle(keys: BinaryNode, jid: string, outer: BinaryNode): KeyBundle {
  const signed = child(keys, 'skey')
  const oneTime = child(keys, 'key')
  return {
    jid,
    registrationId: readNumber(required(childBytes(outer, 'registration'), 'registration')),
    identityKey: required(childBytes(keys, 'identity'), 'identity'),
    signedPreKey: { ...readKey(signed), signature: required(childBytes(signed, 'signature'), 'signature') },
    preKey: oneTime ? readKey(oneTime) : null,
  }
}

const readKey = (key: BinaryNode | undefined) => ({
  id: readNumber(required(bytesOf(child(key, 'id')), 'id')),
  publicKey: required(bytesOf(child(key, 'value')), 'value'),
})

function required(bytes: Buffer | undefined, name: string): Buffer {
  if (!bytes) throw new Error(`a key bundle without ${name}`)
  return bytes
}
