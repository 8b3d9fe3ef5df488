/** Companions come and go: who has to hear of it, and in which words. */
import { createHash } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { notify } from './delivery'
import { addressOf, lidOf } from './directory'
import { node } from './node'
import { demand } from './refusal'
import type { Account, Device } from './types'
import type { World } from './world'

/** What a companion hears when it is removed; clients give up their credentials on it. */
export const DEVICE_REMOVED: BinaryNode = node('stream:error', { code: '401' }, [
  node('conflict', { type: 'device_removed' }),
])

/** A short name for the set of an account's devices: sorted addresses, hashed. */
export function deviceHash(accounts: Iterable<Account>, domain: 'lid' | 'pn', without?: Device): string {
  const names: string[] = []
  for (const account of accounts) {
    const user = domain === 'lid' ? account.lid : account.phoneNumber
    const server = domain === 'lid' ? 'lid' : 's.whatsapp.net'
    for (const device of account.devices.values()) {
      if (device !== without) names.push(`${user}.0:${device.id}@${server}`)
    }
  }
  const digest = createHash('sha256').update(names.sort().join('')).digest()
  return `2:${digest.subarray(0, 6).toString('base64').replace(/=+$/, '')}`
}

/**
 * Tells the account's other devices and everybody who once asked for its device list (wire notes §7). Clients keep
 * their lists by the address they asked with, so each gets the news under that address.
 */
export function announce(world: World, change: 'add' | 'remove', device: Device): void {
  const { account } = device
  const tellAll = (audience: Account, domains: Iterable<'lid' | 'pn'>) => {
    for (const domain of domains) {
      const named = { jid: addressOf(account, domain, device.id), 'key-index': String(device.keyIndex) }
      const lid = domain === 'pn' ? lidOf(account, device.id) : undefined
      const hash = { device_hash: deviceHash([account], domain) }
      const content = [node(change, hash, [node('device', { ...named, lid })])]
      for (const listener of audience.devices.values()) {
        if (listener !== device) notify(world, listener, 'devices', content, addressOf(account, domain))
      }
    }
  }
  const watchers = world.watchers.get(account)
  tellAll(account, new Set<'lid' | 'pn'>(['pn', ...(watchers?.get(account) ?? [])]))
  for (const [watcher, domains] of watchers ?? []) if (watcher !== account) tellAll(watcher, domains)
}

/** Remembers that somebody holds a copy of the account's device list. */
export function watchDevices(world: World, watcher: Account, account: Account, domain: 'lid' | 'pn'): void {
  const watchers = world.watchers.get(account) ?? new Map<Account, Set<'lid' | 'pn'>>()
  world.watchers.set(account, watchers)
  const domains = watchers.get(watcher) ?? new Set()
  watchers.set(watcher, domains.add(domain))
}

/** Removes a companion for good; it hears `last` if it is online, and 401 when it tries to come back. */
export function removeCompanion(
  world: World,
  device: Device,
  last: BinaryNode | null = DEVICE_REMOVED,
): void {
  demand(device.id !== 0, 403, 'not-allowed')
  if (device.account.devices.get(device.id) !== device) return
  device.account.devices.delete(device.id)
  device.pending.length = 0
  world.presence.forget(device)
  announce(world, 'remove', device)
  if (last !== null) world.lines.get(device)?.end(last)
}

/** Tells watchers that the account has a new identity: its phone was set up anew. */
export function announceIdentity(world: World, account: Account): void {
  for (const [watcher, domains] of world.watchers.get(account) ?? []) {
    if (watcher === account) continue
    for (const domain of domains) {
      for (const listener of watcher.devices.values()) {
        notify(world, listener, 'encrypt', [node('identity')], addressOf(account, domain))
      }
    }
  }
}

/** The account's companions, without the phone. */
export const companionsOf = (account: Account): Device[] =>
  [...account.devices.values()].filter((device) => device.id !== 0)
