/** A phone's line to the server: function calls instead of a socket, the same stanzas, the same checks. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { announceIdentity, companionsOf, DEVICE_REMOVED, removeCompanion } from './devices'
import { child, node } from './node'
import { LinkRefused, Refusal } from './refusal'
import { receiveStanza } from './stanzas/dispatch'
import type { Account, Device, PendingCompanion, PhoneRegistration, PhoneUplink } from './types'
import type { Origin, World } from './world'

/**
 * Switches a phone on. A new number opens an account; a known number with another identity is a phone set up anew, which
 * removes all companions; with the same identity it is the same phone come back.
 */
export function attachPhone(
  world: World,
  phone: PhoneRegistration,
  receive: (stanza: BinaryNode) => void,
): PhoneUplink {
  const device = phoneDevice(world, phone)
  const { account } = device
  const waiting = new Map<string, (answer: BinaryNode) => void>()

  /** Later, so that a phone that answers at once does not climb into the middle of what the server is doing. */
  const hand = (stanza: BinaryNode) => {
    world.log.record('out', { phoneNumber: account.phoneNumber, deviceId: 0 }, stanza)
    queueMicrotask(() => {
      const settle = stanza.tag === 'iq' ? waiting.get(stanza.attrs.id ?? '') : undefined
      if (settle === undefined) receive(stanza)
      else settle(stanza)
    })
  }
  const link = { send: hand, end: (last?: BinaryNode) => last !== undefined && hand(last) }
  const origin: Origin = { device, reply: hand, end: link.end, activate: () => {} }
  const send = (stanza: BinaryNode) => {
    world.log.record('in', { phoneNumber: account.phoneNumber, deviceId: 0 }, stanza)
    receiveStanza(world, origin, stanza)
  }

  device.link = link
  for (const stanza of device.pending.splice(0)) hand(stanza)

  const registrationOf = (ref: string) => {
    for (const registration of world.registrations) if (registration.shows(ref)) return registration
    return null
  }

  return {
    account,
    send,
    async query(stanza) {
      const id = stanza.attrs.id ?? world.nextId()
      const { promise, resolve } = Promise.withResolvers<BinaryNode>()
      waiting.set(id, resolve)
      send(node(stanza.tag, { ...stanza.attrs, id }, stanza.content))
      const answer = await promise.finally(() => waiting.delete(id))
      if (answer.attrs.type !== 'error') return answer
      const error = child(answer, 'error')
      throw new Refusal(Number(error?.attrs.code ?? 500), error?.attrs.text ?? 'error')
    },
    companionOf(ref): PendingCompanion | null {
      return registrationOf(ref)?.companion ?? null
    },
    nextKeyIndex: () => account.nextKeyIndex,
    async link(ref, grant) {
      const registration = registrationOf(ref)
      if (registration === null) throw new LinkRefused('No companion shows this code')
      return await registration.link(account, grant)
    },
    unlink(deviceId) {
      const companion = account.devices.get(deviceId)
      if (companion === undefined) throw new Refusal(404, 'item-not-found')
      removeCompanion(world, companion)
    },
  }
}

function phoneDevice(world: World, phone: PhoneRegistration): Device {
  const known = world.directory.byPhoneNumber(phone.phoneNumber)
  if (known === undefined) return mainDevice(world.directory.register(phone))
  const device = mainDevice(known)
  if (device.identityKey.equals(phone.identityKey)) return device

  const companions = companionsOf(known)
  world.directory.reinstall(known, phone)
  for (const companion of companions) removeCompanion(world, companion, DEVICE_REMOVED)
  announceIdentity(world, known)
  return mainDevice(known)
}

function mainDevice(account: Account): Device {
  const device = account.devices.get(0)
  if (device === undefined) throw new Error(`Account ${account.phoneNumber} has no phone`)
  return device
}
