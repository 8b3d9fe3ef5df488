/** Who comes into a group and who goes. */
import { type Group, isAdmin } from '../groups'
import { node } from '../node'
import type { Account } from '../types'
import type { World } from '../world'
import { announceChange, participantNode } from './group-nodes'

/** Whether somebody lets others put them into groups. */
export const mayBeAdded = (world: World) => (account: Account) =>
  world.profiles.of(account).privacy.get('groupadd') !== 'none'

/** Takes somebody out; a group never stays without an admin. */
export function removeMember(group: Group, account: Account): void {
  group.members.delete(account)
  const [first] = group.members.keys()
  const admins = [...group.members.keys()].some((member) => isAdmin(group, member))
  if (first !== undefined && !admins) group.members.set(first, 'admin')
}

/** Somebody comes in by an invitation. */
export function enter(world: World, group: Group, account: Account): void {
  group.members.set(account, 'member')
  const added = node('add', { reason: 'invite' }, [participantNode(group, account)])
  announceChange(world, group, account, [added])
}
