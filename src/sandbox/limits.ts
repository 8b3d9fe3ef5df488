/**
 * WhatsApp's two limits on writing to people one has no chat with (field notes A8): the reach-out time lock, which
 * closes new chats altogether for a while, and the cap, which allows so many per cycle. Both meet a whole account,
 * leave its established chats alone, can be asked for, and are told when they change.
 */
import {
  NewChatMessageCappingMVStatusType,
  NewChatMessageCappingOTEStatusType,
  NewChatMessageCappingStatusType,
  ReachoutTimelockEnforcementType,
} from '@whiskeysockets/baileys'
import { notify } from './delivery'
import { companionsOf } from './devices'
import { type Fault, type FaultKind, meets } from './faults'
import { node } from './node'
import { Refusal } from './refusal'
import type { Account, Device } from './types'
import type { World } from './world'

/** WhatsApp's code for a message to somebody this account may not write to first. */
const NO_NEW_CHATS = 463
const DAY_MS = 24 * 60 * 60 * 1000

const { WEB_COMPANION_ONLY, DEFAULT } = ReachoutTimelockEnforcementType

/** Throws what WhatsApp answers when this message would open a chat that the sender may not open. */
export function admitToChat(world: World, sender: Device, recipient: Account): void {
  const { account } = sender
  if (account === recipient || isEstablished(world, account, recipient)) return
  const lock = faultOn(world, 'restrict', account)
  if (lock !== undefined && (sender.id !== 0 || lock.type !== WEB_COMPANION_ONLY)) {
    world.faults.use(lock)
    throw new Refusal(NO_NEW_CHATS, 'reach-out time lock')
  }
  const cap = faultOn(world, 'cap', account)
  if (cap === undefined) return
  const cycle = world.caps.cycle(world, cap, account)
  if (cycle.used >= quotaOf(cap)) {
    world.faults.use(cap)
    throw new Refusal(cap.code ?? NO_NEW_CHATS, 'too many new chats')
  }
}

/** A message has been let through: the chat is established, and a new one counts against the cap. */
export function openChat(world: World, sender: Device, recipient: Account): void {
  const { account } = sender
  if (account === recipient || world.chats.has(account, recipient)) return
  const counts = !isEstablished(world, account, recipient)
  world.chats.note(account, recipient)
  const cap = counts ? faultOn(world, 'cap', account) : undefined
  if (cap === undefined) return
  const cycle = world.caps.cycle(world, cap, account)
  const before = capStatus(cycle.used, quotaOf(cap))
  cycle.used++
  if (capStatus(cycle.used, quotaOf(cap)) !== before) tellCap(world, account)
}

/** Messages have passed, or the other side has handed out the token that lets one write first. */
const isEstablished = (world: World, account: Account, other: Account): boolean =>
  world.chats.has(account, other) || world.profiles.of(other).tokens.has(account)

/** The answer to the question for the time lock; also what is told of it. */
export function timeLock(world: World, account: Account): Record<string, unknown> {
  const lock = faultOn(world, 'restrict', account)
  if (lock === undefined) return { is_active: false }
  return {
    is_active: true,
    time_enforcement_ends: String(Math.ceil((lock.until ?? 0) / 1000)),
    enforcement_type: lock.type ?? DEFAULT,
  }
}

/** The answer to the question for the cap; also what is told of it. Without a cap nobody comes near the quota. */
export function capInfo(world: World, account: Account): Record<string, unknown> {
  const cap = faultOn(world, 'cap', account)
  const shared = {
    server_sent_timestamp: world.seconds(),
    ote_status: NewChatMessageCappingOTEStatusType.NOT_ELIGIBLE,
    mv_status: NewChatMessageCappingMVStatusType.NOT_ELIGIBLE,
  }
  if (cap === undefined) {
    const capping_status = NewChatMessageCappingStatusType.NONE
    return { total_quota: UNLIMITED, used_quota: 0, capping_status, ...shared }
  }
  const { start, end, used } = world.caps.cycle(world, cap, account)
  const quota = quotaOf(cap)
  return {
    total_quota: quota,
    used_quota: used,
    cycle_start_timestamp: String(Math.floor(start / 1000)),
    cycle_end_timestamp: String(Math.ceil(end / 1000)),
    capping_status: capStatus(used, quota),
    ...shared,
  }
}

const UNLIMITED = 1000
const quotaOf = (cap: Fault): number => cap.quota ?? 0

function capStatus(used: number, quota: number): NewChatMessageCappingStatusType {
  const { NONE, FIRST_WARNING, SECOND_WARNING, CAPPED } = NewChatMessageCappingStatusType
  if (used >= quota) return CAPPED
  if (used >= quota * 0.9) return SECOND_WARNING
  return used >= quota * 0.5 ? FIRST_WARNING : NONE
}

/** Tells every account that a limit meets that it has begun, or is over; other faults are no news. */
export function tellLimit(world: World, fault: Fault): void {
  const tell = fault.kind === 'restrict' ? tellLock : fault.kind === 'cap' ? tellCap : null
  if (tell === null) return
  for (const account of world.directory.accounts) {
    if (meetsAccount(fault, account)) tell(world, account)
  }
}

function tellLock(world: World, account: Account): void {
  const data = { xwa2_notify_account_reachout_timelock: timeLock(world, account) }
  tellAsGraph(world, account, 'NotificationUserReachoutTimelockUpdate', data)
}

function tellCap(world: World, account: Account): void {
  const data = { xwa2_notify_new_chat_messages_capping_info_update: capInfo(world, account) }
  tellAsGraph(world, account, 'MessageCappingInfoNotification', data)
}

function tellAsGraph(world: World, account: Account, operation: string, data: object): void {
  const update = node('update', { op_name: operation }, JSON.stringify({ data }))
  for (const device of companionsOf(account)) notify(world, device, 'mex', [update])
}

/** A limit is on the account, whichever of its devices the fault was aimed at. */
const faultOn = (world: World, kind: FaultKind, account: Account): Fault | undefined =>
  world.faults.of(kind).find((fault) => meetsAccount(fault, account))

const meetsAccount = (fault: Fault, account: Account): boolean =>
  [...account.devices.values()].some((device) =>
    meets(fault, { phoneNumber: account.phoneNumber, noiseKey: device.noiseKey?.toString('hex') }),
  )

type Cycle = { start: number; end: number; used: number }

/** How many new chats each account has opened in the current cycle of each cap. */
export class Caps {
  readonly #cycles = new WeakMap<Fault, Map<Account, Cycle>>()

  /** The cycle that runs now. When one is over, its account is told that it may write again. */
  cycle(world: World, cap: Fault, account: Account): Cycle {
    const cycles = this.#cycles.get(cap) ?? new Map<Account, Cycle>()
    this.#cycles.set(cap, cycles)
    const length = cap.window ?? DAY_MS
    const now = world.clock.now()
    const known = cycles.get(account)
    if (known !== undefined && now < known.end) return known
    const start = cap.at + Math.floor((now - cap.at) / length) * length
    const cycle = { start, end: start + length, used: 0 }
    cycles.set(account, cycle)
    world.after(cycle.end - now, () => {
      if (cycles.get(account) === cycle && world.faults.of('cap').includes(cap)) tellCap(world, account)
    })
    return cycle
  }
}
