/** Changing a group: members, roles, texts, settings. Each change says who may make it and what others hear. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { type Group, isAdmin, type Role } from '../groups'
import { parseJid } from '../jid'
import { bytesOf, child, children, childText, node, result } from '../node'
import { demand, Refusal } from '../refusal'
import { entryOf } from '../table'
import type { Account } from '../types'
import type { Origin, World } from '../world'
import { enter, mayBeAdded, removeMember } from './group-members'
import { announceChange, participantNode } from './group-nodes'

export type Change = { world: World; origin: Origin; request: BinaryNode; item: BinaryNode; group: Group }

const MOST_SUBJECT_CHARACTERS = 100
const MOST_DESCRIPTION_CHARACTERS = 2048
const MOST_MEMBERS = 1024

/** A `set` to one group. */
export function changeGroup(change: Change): BinaryNode {
  const { request, item, group, origin } = change
  demand(request.attrs.type === 'set', 400, 'bad-request')
  if (item.tag === 'accept') return acceptInvitation(change)
  demand(group.members.has(origin.device.account), 403, 'forbidden')
  const step = entryOf(CHANGES, item.tag)
  if (step === undefined) throw new Refusal(400, 'bad-request')
  return step(change)
}

const CHANGES: Record<string, (change: Change) => BinaryNode> = {
  add: (change) => changeMembers(change, addMember),
  remove: (change) => changeMembers(change, dropMember),
  promote: (change) => changeMembers(change, setRole('admin')),
  demote: (change) => changeMembers(change, setRole('member')),
  subject: changeSubject,
  description: changeDescription,
  announcement: setting((group) => {
    group.announcement = true
  }),
  not_announcement: setting((group) => {
    group.announcement = false
  }),
  locked: setting((group) => {
    group.locked = true
  }),
  unlocked: setting((group) => {
    group.locked = false
  }),
  ephemeral: setting((group, item) => {
    demand(/^\d+$/.test(item.attrs.expiration ?? ''), 400, 'bad-request')
    group.ephemeral = item.attrs.expiration ?? null
  }),
  not_ephemeral: setting((group) => {
    group.ephemeral = null
  }),
  member_add_mode: setting((group, item) => {
    const mode = bytesOf(item)?.toString()
    if (mode !== 'admin_add' && mode !== 'all_member_add') throw new Refusal(400, 'bad-request')
    group.memberAddMode = mode
  }),
  membership_approval_mode: setting((group, item) => {
    group.joinApproval = child(item, 'group_join')?.attrs.state === 'on'
  }),
  invite: renewInvite,
  revoke: ({ request }) => result(request),
}

const adminOnly = ({ group, origin }: Change) =>
  demand(isAdmin(group, origin.device.account), 403, 'forbidden')

/** A setting of the group: for admins, and told with the words it was asked with. */
function setting(apply: (group: Group, item: BinaryNode) => void): (change: Change) => BinaryNode {
  return (change) => {
    adminOnly(change)
    const { world, group, item, origin, request } = change
    apply(group, item)
    announceChange(world, group, origin.device.account, [item])
    return result(request)
  }
}

/** Changes one member; returns an error code for the answer, or undefined when it is done. */
type MemberStep = (change: Change, account: Account | undefined) => string | undefined

function changeMembers(change: Change, step: MemberStep): BinaryNode {
  const { world, origin, request, item, group } = change
  const actor = origin.device.account
  const named = children(item, 'participant')
  demand(named.length > 0 && named.length <= MOST_MEMBERS, 406, 'not-acceptable')
  const open = item.tag === 'add' && group.memberAddMode === 'all_member_add'
  if (!open) adminOnly(change)

  const changed: Account[] = []
  const leaving: Account[] = []
  const answers = named.map(({ attrs }) => {
    const account = world.directory.find(parseJid(attrs.jid))
    const error = step(change, account)
    if (error !== undefined || account === undefined) return node('participant', { jid: attrs.jid, error })
    changed.push(account)
    if (item.tag === 'remove') leaving.push(account)
    return participantNode(group, account, { jid: attrs.jid ?? '' })
  })
  if (changed.length > 0) {
    const content = changed.map((account) => participantNode(group, account))
    announceChange(world, group, actor, [node(item.tag, {}, content)])
  }
  // Only now: those who were removed must still hear of it.
  for (const account of leaving) removeMember(group, account)
  return result(request, [node(item.tag, {}, answers)])
}

const addMember: MemberStep = ({ world, group }, account) => {
  if (account === undefined) return '404'
  if (group.members.has(account)) return '409'
  if (!mayBeAdded(world)(account)) return '403'
  if (group.members.size >= MOST_MEMBERS) return '419'
  group.members.set(account, 'member')
  return undefined
}

const dropMember: MemberStep = ({ group }, account) => {
  if (account === undefined || !group.members.has(account)) return '404'
  return group.members.get(account) === 'superadmin' ? '405' : undefined
}

const setRole =
  (role: Role): MemberStep =>
  ({ group }, account) => {
    if (account === undefined || !group.members.has(account)) return '404'
    if (group.members.get(account) === 'superadmin') return '405'
    group.members.set(account, role)
    return undefined
  }

function changeSubject(change: Change): BinaryNode {
  const { world, origin, request, item, group } = change
  const text = bytesOf(item)?.toString()
  if (group.locked) adminOnly(change)
  demand(text && [...text].length <= MOST_SUBJECT_CHARACTERS, 406, 'not-acceptable')
  group.subject = text
  group.subjectBy = origin.device.account
  group.subjectAt = world.seconds()
  const news = node('subject', { subject: text, s_t: group.subjectAt })
  announceChange(world, group, origin.device.account, [news])
  return result(request)
}

function changeDescription(change: Change): BinaryNode {
  const { world, origin, request, item, group } = change
  const { id, prev } = item.attrs
  if (group.locked) adminOnly(change)
  // Two people at once: the second has not seen what it would overwrite.
  demand((prev ?? undefined) === group.description?.id, 409, 'conflict')
  if (item.attrs.delete === 'true') group.description = null
  else {
    const text = childText(item, 'body')
    demand(text !== undefined && id !== undefined, 400, 'bad-request')
    demand([...text].length <= MOST_DESCRIPTION_CHARACTERS, 406, 'not-acceptable')
    group.description = { id, text, by: origin.device.account, at: world.seconds() }
  }
  announceChange(world, group, origin.device.account, [item])
  return result(request)
}

function renewInvite(change: Change): BinaryNode {
  adminOnly(change)
  const { world, group, origin, request } = change
  const news = node('invite', { code: world.groups.renewInvite(group) })
  announceChange(world, group, origin.device.account, [news])
  return result(request, [news])
}

/** An invitation that an admin sent in a message. */
function acceptInvitation({ world, origin, request, item, group }: Change): BinaryNode {
  const { account } = origin.device
  const { code, admin, expiration } = item.attrs
  const inviter = world.directory.find(parseJid(admin))
  demand(inviter !== undefined && isAdmin(group, inviter), 403, 'forbidden')
  demand(code === group.inviteCode && Number(expiration) > Number(world.seconds()), 410, 'gone')
  demand(!group.members.has(account), 409, 'conflict')
  enter(world, group, account)
  return result(request)
}
