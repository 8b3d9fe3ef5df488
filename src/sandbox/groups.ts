/** Groups as the server knows them: members, settings, texts. */
import { addressOf, lidOf, pnOf } from './directory'
import type { Random } from './random'
import type { Account } from './types'

export type Role = 'member' | 'admin' | 'superadmin'

export type Group = {
  /** Without `@g.us`. */
  id: string
  subject: string
  subjectBy: Account
  /** Times in seconds, as stanzas carry them. */
  subjectAt: string
  createdBy: Account
  createdAt: string
  members: Map<Account, Role>
  /** Whose addresses name the members, and their sender keys. */
  addressing: 'lid' | 'pn'
  description: { id: string; text: string; by: Account; at: string } | null
  /** Only admins may send. */
  announcement: boolean
  /** Only admins may change subject, picture and description. */
  locked: boolean
  ephemeral: string | null
  inviteCode: string
  memberAddMode: 'admin_add' | 'all_member_add'
  joinApproval: boolean
}

export const groupJid = (group: Group): string => `${group.id}@g.us`

/** A member's address as the group spells it. */
export const memberJid = (group: Group, account: Account, device = 0): string =>
  addressOf(account, group.addressing, device)

/** The member's other address, bare, under the attribute name that goes with the group's spelling. */
export const otherJid = (group: Group, account: Account, prefix: string): Record<string, string> =>
  group.addressing === 'lid' ? { [`${prefix}_pn`]: pnOf(account) } : { [`${prefix}_lid`]: lidOf(account) }

export const isAdmin = (group: Group, account: Account): boolean =>
  (group.members.get(account) ?? 'member') !== 'member'

/** All groups of one server. */
export class Groups {
  readonly #byId = new Map<string, Group>()
  readonly #byInvite = new Map<string, Group>()

  constructor(readonly random: Random) {}

  /** Finds a group by its id or its whole address. */
  get(id: string): Group | undefined {
    return this.#byId.get(id.endsWith('@g.us') ? id.slice(0, -'@g.us'.length) : id)
  }

  get all(): Iterable<Group> {
    return this.#byId.values()
  }

  byInvite(code: string): Group | undefined {
    return this.#byInvite.get(code)
  }

  /** Groups an account is a member of. */
  of(account: Account): Group[] {
    return [...this.#byId.values()].filter((group) => group.members.has(account))
  }

  create(creator: Account, subject: string, members: Iterable<Account>, at: string): Group {
    const group: Group = {
      id: `120363${(this.random(6).readUIntBE(0, 6) % 10 ** 12).toString().padStart(12, '0')}`,
      subject,
      subjectBy: creator,
      subjectAt: at,
      createdBy: creator,
      createdAt: at,
      members: new Map<Account, Role>([[creator, 'superadmin']]),
      addressing: 'lid',
      description: null,
      announcement: false,
      locked: false,
      ephemeral: null,
      inviteCode: '',
      memberAddMode: 'admin_add',
      joinApproval: false,
    }
    for (const member of members) if (member !== creator) group.members.set(member, 'member')
    this.#byId.set(group.id, group)
    this.renewInvite(group)
    return group
  }

  /** Takes in a group that was there before, as it was. */
  adopt(group: Group): void {
    this.#byId.set(group.id, group)
    this.#byInvite.set(group.inviteCode, group)
  }

  /** A fresh invitation; the old one is void. */
  renewInvite(group: Group): string {
    this.#byInvite.delete(group.inviteCode)
    group.inviteCode = this.random(16).toString('base64url')
    this.#byInvite.set(group.inviteCode, group)
    return group.inviteCode
  }
}
