/** What immediate faults do to a live connection. */
import type { Connection } from './connection'
import { removeCompanion } from './devices'
import { type Fault, type FaultKind, meets } from './faults'
import { REPLACED } from './login'
import { node } from './node'
import type { World } from './world'

/** Acts on one connection; returns whether it met it. */
type Action = (connection: Connection, fault: Fault) => boolean

const done = (act: (connection: Connection, fault: Fault) => void): Action => {
  return (connection, fault) => {
    act(connection, fault)
    return true
  }
}

const onWaiting = (act: (registration: NonNullable<Connection['registration']>) => void): Action => {
  return ({ registration }) => {
    if (registration !== null) act(registration)
    return registration !== null
  }
}

const ACTIONS: Partial<Record<FaultKind, Action>> = {
  drop: done((connection) => connection.cut()),
  stall: done((connection, { id }) => connection.stall(id)),
  stream_error: done((connection, { code }) =>
    connection.end(node('stream:error', { code: String(code ?? 503) })),
  ),
  replace: done((connection) => connection.end(REPLACED)),
  ban: done((connection, fault) => connection.ban(fault)),
  corrupt_frame: done((connection) => connection.sendCorruptFrame()),
  pair_refresh: onWaiting((registration) => registration.refresh()),
  passkey: onWaiting((registration) => registration.askPasskey()),
}

/** Lets a fault act on every connection it meets; returns how many. `logout` also meets companions that are away. */
export function actNow(world: World, connections: Iterable<Connection>, fault: Fault): number {
  if (fault.kind === 'logout') return logOut(world, fault)
  const action = ACTIONS[fault.kind]
  if (action === undefined) return 0
  return [...connections].filter((each) => meets(fault, each.target) && action(each, fault)).length
}

function logOut(world: World, fault: Fault): number {
  let removed = 0
  for (const account of world.directory.accounts) {
    for (const device of [...account.devices.values()]) {
      const noiseKey = device.noiseKey?.toString('hex')
      if (device.id === 0 || !meets(fault, { phoneNumber: account.phoneNumber, noiseKey })) continue
      removeCompanion(world, device)
      removed++
    }
  }
  return removed
}
