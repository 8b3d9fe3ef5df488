/** Groups (`xmlns=w:g2`, wire notes §7.1): asking about them, making them, entering and leaving. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { type Group, isAdmin, memberJid } from '../groups'
import { parseJid } from '../jid'
import { child, children, node, result } from '../node'
import { demand, Refusal } from '../refusal'
import { entryOf } from '../table'
import type { Origin, World } from '../world'
import { changeGroup } from './group-changes'
import { enter, mayBeAdded, removeMember } from './group-members'
import { announceChange, groupNode, participantNode } from './group-nodes'
import { subject } from './subject'

const NOBODYS_GROUP = '@g.us'
const MOST_MEMBERS = 1024
const MOST_SUBJECT_CHARACTERS = 100

/** `xmlns=w:g2`: to `@g.us` for groups in general, to a group for that group. */
export function handleGroups(world: World, origin: Origin, request: BinaryNode): BinaryNode {
  const { to, type } = request.attrs
  const item = subject(request)
  if (to === NOBODYS_GROUP) {
    const step = entryOf(GENERAL, `${type} ${item.tag}`)
    demand(step !== undefined, 400, 'bad-request')
    return step(world, origin, request, item)
  }
  const group = world.groups.get(to ?? '')
  demand(group !== undefined, 404, 'item-not-found')
  if (type === 'get') return ask(world, origin, request, item, group)
  return changeGroup({ world, origin, request, item, group })
}

type Step = (world: World, origin: Origin, request: BinaryNode, item: BinaryNode) => BinaryNode

const GENERAL: Record<string, Step> = {
  'set create': create,
  'set leave': leave,
  'get participating': (world, { device }, request) => {
    const groups = world.groups.of(device.account).map((group) => groupNode(group))
    return result(request, [node('groups', {}, groups)])
  },
  'get invite': (world, _origin, request, item) => {
    const group = world.groups.byInvite(item.attrs.code ?? '')
    demand(group !== undefined, 406, 'not-acceptable')
    return result(request, [groupNode(group)])
  },
  'set invite': join,
}

function create(world: World, { device }: Origin, request: BinaryNode, item: BinaryNode): BinaryNode {
  const { subject: title } = item.attrs
  demand(title && [...title].length <= MOST_SUBJECT_CHARACTERS, 406, 'not-acceptable')
  const named = children(item, 'participant')
  demand(named.length > 0 && named.length < MOST_MEMBERS, 406, 'not-acceptable')
  const accounts = named.map(({ attrs }) => world.directory.find(parseJid(attrs.jid)))
  const members = accounts.filter((account) => account !== undefined)
  demand(members.length > 0, 400, 'bad-request')

  const group = world.groups.create(device.account, title, members.filter(mayBeAdded(world)), world.seconds())
  const expiration = child(item, 'ephemeral')?.attrs.expiration
  if (expiration !== undefined) group.ephemeral = expiration
  const made = groupNode(group)
  announceChange(world, group, device.account, [node('create', { type: 'new', key: item.attrs.key }, [made])])
  const missing = named
    .filter((_, at) => accounts[at] === undefined)
    .map(({ attrs }) => node('participant', { jid: attrs.jid, error: '404' }))
  return result(request, [{ ...made, content: [...children(made), ...missing] }])
}

function leave(world: World, { device }: Origin, request: BinaryNode, item: BinaryNode): BinaryNode {
  const left = children(item, 'group').map(({ attrs }) => {
    const group = world.groups.get(attrs.id ?? '')
    if (!group?.members.has(device.account)) return node('group', { id: attrs.id, error: '404' })
    const gone = node('remove', {}, [participantNode(group, device.account)])
    announceChange(world, group, device.account, [gone])
    removeMember(group, device.account)
    return node('group', { id: attrs.id })
  })
  return result(request, [node('leave', {}, left)])
}

function join(world: World, { device }: Origin, request: BinaryNode, item: BinaryNode): BinaryNode {
  const group = world.groups.byInvite(item.attrs.code ?? '')
  demand(group !== undefined, 406, 'not-acceptable')
  demand(!group.members.has(device.account), 409, 'conflict')
  demand(group.members.size < MOST_MEMBERS, 419, 'resource-limit')
  enter(world, group, device.account)
  return result(request, [node('group', { jid: `${group.id}@g.us` })])
}

function ask(
  _world: World,
  { device }: Origin,
  request: BinaryNode,
  item: BinaryNode,
  group: Group,
): BinaryNode {
  demand(group.members.has(device.account), 403, 'forbidden')
  if (item.tag === 'query') return result(request, [groupNode(group)])
  if (item.tag === 'membership_approval_requests') return result(request, [node(item.tag)])
  demand(item.tag === 'invite', 400, 'bad-request')
  if (!isAdmin(group, device.account)) throw new Refusal(401, 'not-authorized')
  return result(request, [
    node('invite', { code: group.inviteCode, creator: memberJid(group, group.createdBy) }),
  ])
}
