/** What others see of an account: about text, picture, disappearing messages. */
import { createHash } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { notify } from '../delivery'
import { addressOf } from '../directory'
import { type Group, groupJid, isAdmin, memberJid } from '../groups'
import { isGroup, parseJid } from '../jid'
import { bytesOf, child, node, result } from '../node'
import { demand } from '../refusal'
import type { Account, Device } from '../types'
import type { Origin, World } from '../world'
import { tellOthers } from './account'
import { subject } from './subject'

const MOST_ABOUT_BYTES = 556

/** `xmlns=status`: the about text. */
export function handleAbout(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const text = bytesOf(subject(request))
  demand(request.attrs.type === 'set' && text !== undefined, 400, 'bad-request')
  demand(text.length <= MOST_ABOUT_BYTES, 406, 'not-acceptable')
  world.profiles.of(device.account).about = { text: text.toString(), at: world.seconds() }
  return result(request)
}

/** `xmlns=disappearing_mode`: the default for new chats. */
export function handleDisappearing(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const { duration } = subject(request).attrs
  demand(duration !== undefined && /^\d+$/.test(duration), 400, 'bad-request')
  const mode = { duration, at: world.seconds() }
  world.profiles.of(device.account).disappearing = mode
  tellOthers(world, device, [node('disappearing_mode', { duration, t: mode.at })])
  return result(request)
}

/** `xmlns=w:profile:picture`: one's own, or that of `target`. An empty `set` removes it. */
export function handlePicture(world: World, { device }: Origin, request: BinaryNode): BinaryNode {
  const { target, type } = request.attrs
  const owner = ownerOf(world, device, target)
  if (type === 'get') {
    const picture = world.pictures.get(owner)
    demand(picture !== undefined, 404, 'item-not-found')
    const path = `/pps/${picture.id}.jpg`
    const kind = child(request, 'picture')?.attrs.type ?? 'image'
    const url = `https://${world.mediaHost()}${path}`
    return result(request, [node('picture', { id: picture.id, type: kind, url, direct_path: path })])
  }
  demand(type === 'set', 400, 'bad-request')
  if ('phoneNumber' in owner) demand(owner === device.account, 403, 'forbidden')
  else demand(!owner.locked || isAdmin(owner, device.account), 403, 'forbidden')

  const image = bytesOf(child(request, 'picture'))
  if (image === undefined) world.pictures.delete(owner)
  else {
    const id = createHash('sha256').update(image).digest().readUInt32BE(0).toString()
    world.pictures.set(owner, { id, image })
  }
  const id = world.pictures.get(owner)?.id
  announcePicture(world, device, owner, id)
  return result(request, id === undefined ? [] : [node('picture', { id })])
}

function ownerOf(world: World, device: Device, target: string | undefined): Account | Group {
  if (target === undefined) return device.account
  const owner = isGroup(target) ? world.groups.get(target) : world.directory.find(parseJid(target))
  demand(owner !== undefined, 404, 'item-not-found')
  if (!('phoneNumber' in owner)) demand(owner.members.has(device.account), 403, 'forbidden')
  return owner
}

function announcePicture(world: World, device: Device, owner: Account | Group, id: string | undefined): void {
  const tag = id === undefined ? 'delete' : 'set'
  if ('phoneNumber' in owner) {
    const audience = new Set([owner, ...(world.watchers.get(owner)?.keys() ?? [])])
    for (const account of audience) {
      const from = addressOf(owner, account.addressing)
      for (const listener of account.devices.values()) {
        if (listener !== device) notify(world, listener, 'picture', [node(tag, { id, jid: from })], from)
      }
    }
    return
  }
  const from = groupJid(owner)
  const author = memberJid(owner, device.account)
  for (const member of owner.members.keys()) {
    for (const listener of member.devices.values()) {
      notify(world, listener, 'picture', [node(tag, { id, jid: from, author })], from)
    }
  }
}
