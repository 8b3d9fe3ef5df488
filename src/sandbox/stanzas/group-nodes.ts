/** A group in stanzas: its whole description, its members, and the news of a change. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { notify } from '../delivery'
import { lidOf, pnOf } from '../directory'
import { type Group, groupJid, isAdmin, memberJid, otherJid } from '../groups'
import { node } from '../node'
import type { Account } from '../types'
import type { World } from '../world'

/** A member, with the other address beside the one that the group uses. */
export function participantNode(
  group: Group,
  account: Account,
  more: Record<string, string> = {},
): BinaryNode {
  const other = group.addressing === 'lid' ? { phone_number: pnOf(account) } : { lid: lidOf(account) }
  const type = isAdmin(group, account) ? group.members.get(account) : undefined
  return node('participant', { jid: memberJid(group, account), ...other, type, ...more })
}

/** Everything clients read of a group. */
export function groupNode(group: Group): BinaryNode {
  const content = [...group.members.keys()].map((account) => participantNode(group, account))
  if (group.description !== null) content.push(descriptionNode(group, group.description))
  if (group.announcement) content.push(node('announcement'))
  if (group.locked) content.push(node('locked'))
  if (group.ephemeral !== null) content.push(node('ephemeral', { expiration: group.ephemeral }))
  if (group.joinApproval) {
    content.push(node('membership_approval_mode', {}, [node('group_join', { state: 'on' })]))
  }
  content.push(node('member_add_mode', {}, group.memberAddMode))
  return node(
    'group',
    {
      id: group.id,
      subject: group.subject,
      s_t: group.subjectAt,
      s_o: memberJid(group, group.subjectBy),
      ...otherJid(group, group.subjectBy, 's_o'),
      creation: group.createdAt,
      creator: memberJid(group, group.createdBy),
      ...otherJid(group, group.createdBy, 'creator'),
      size: String(group.members.size),
      addressing_mode: group.addressing,
    },
    content,
  )
}

function descriptionNode(group: Group, { id, text, by, at }: NonNullable<Group['description']>): BinaryNode {
  const author = { participant: memberJid(group, by), ...otherJid(group, by, 'participant') }
  return node('description', { id, t: at, ...author }, [node('body', {}, text)])
}

/** Tells all devices of all members what somebody changed, the acting device among them (wire notes §7.1). */
export function announceChange(world: World, group: Group, actor: Account, content: BinaryNode[]): void {
  const id = world.nextId()
  const more = {
    id,
    participant: memberJid(group, actor),
    ...otherJid(group, actor, 'participant'),
    addressing_mode: group.addressing,
    notify: actor.name,
  }
  for (const member of group.members.keys()) {
    for (const device of member.devices.values()) {
      notify(world, device, 'w:gp2', content, groupJid(group), more)
    }
  }
}
