/** Ends what is open for long (streams, long polls) when the credentials that opened it are taken back or run out. */
import type { Access } from '../access/access'
import type { Principal } from '../domain/principal'
import type { Clock } from '../lib/clock'

/** How often credentials are looked at again: contract §6 gives a second from the revocation to the end (ms). */
const LOOK_EVERY = 500

/** Watches one caller; `end` is called once at most. Returns how to leave. */
export type CredentialWatch = (principal: Principal, end: () => void) => () => void

type Watched = { principal: Principal; end: () => void }

/**
 * A revocation that this process is told of ends its streams at once. All else (an account that is closed, a token that
 * runs out, a key that was taken back between the check and the opening) shows when everybody is looked at again, each
 * credential once for all the streams that it has opened. Nobody watched: no timer.
 */
export function createCredentialWatch({
  access,
  clock,
}: {
  access: Pick<Access, 'onRevoked' | 'holds'>
  clock: Clock
}): CredentialWatch {
  const all = new Set<Watched>()
  let leaveAccess: (() => void) | null = null
  let cancelLook: (() => void) | null = null

  const endOf = (watched: Watched): void => {
    if (leave(watched)) watched.end()
  }

  function look(): void {
    const held = new Map<string, boolean>()
    for (const watched of [...all]) {
      const key = nameOf(watched.principal)
      const holds = held.get(key) ?? access.holds(watched.principal)
      held.set(key, holds)
      if (!holds) endOf(watched)
    }
    if (all.size > 0) cancelLook = clock.after(LOOK_EVERY, look)
  }

  function join(watched: Watched): void {
    all.add(watched)
    if (all.size > 1) return
    leaveAccess = access.onRevoked(({ tenantId, jti, keyId }) => {
      for (const one of [...all]) {
        const { tenantId: own, by } = one.principal
        if (own !== tenantId) continue
        const named = by.kind === 'token' ? jti === by.jti : keyId === by.keyId
        // Neither a token nor a key is named: whatever of the account does not hold any more.
        if (named || (jti === undefined && keyId === undefined && !access.holds(one.principal))) endOf(one)
      }
    })
    cancelLook = clock.after(LOOK_EVERY, look)
  }

  function leave(watched: Watched): boolean {
    const was = all.delete(watched)
    if (was && all.size === 0) {
      leaveAccess?.()
      cancelLook?.()
    }
    return was
  }

  return (principal, end) => {
    const watched = { principal, end }
    join(watched)
    return () => {
      leave(watched)
    }
  }
}

const nameOf = ({ tenantId, by }: Principal): string =>
  `${tenantId} ${by.kind === 'token' ? by.jti : by.keyId}`
