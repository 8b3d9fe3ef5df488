/** What becomes of the sessions of an account that is closed. An interrupted removal goes on at the next start. */
import type { TenantId } from '../domain/ids'
import type { Accounts } from '../domain/principal'
import type { Sessions } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { Supervisor } from '../sessions/supervisor'

/**
 * A request that was let in just before its account was closed may still be making something: it is looked for once
 * more after this (ms), or when the server stops and nobody is served any more.
 */
const LOOK_AGAIN = 30_000

export interface AccountRemoval extends Part {
  /** Logs the devices out, and removes the account with all that belongs to it. Nobody can get in any more by then. */
  remove(id: TenantId): Promise<void>
  /** Stops the sessions of an account that is not active; their devices stay linked. */
  stopSessions(id: TenantId): Promise<void>
}

/** Makes the part. */
export function createAccountRemoval(parts: {
  accounts: Pick<Accounts, 'leaving' | 'removeUser' | 'userById'>
  sessions: Pick<Sessions, 'list'>
  supervisor: Pick<Supervisor, 'removeTenant' | 'command'>
  clock: Clock
  log: Log
}): AccountRemoval {
  const { accounts, sessions, supervisor, clock, log } = parts
  let resuming: Promise<void> = Promise.resolve()
  /** What is to be done once more, by account. */
  const again = new Map<TenantId, { run(): Promise<void>; cancel(): void }>()

  async function removeAll(id: TenantId): Promise<void> {
    await supervisor.removeTenant(id)
    await accounts.removeUser(id)
  }

  async function stopAll(id: TenantId): Promise<void> {
    if (accounts.userById(id)?.isActive !== false) return
    const { sessions: own } = sessions.list({ tenantId: id, limit: Number.MAX_SAFE_INTEGER, offset: 0 })
    await Promise.all(own.map((session) => supervisor.command(session.id, 'stop')))
  }

  async function lookAgain(id: TenantId): Promise<void> {
    const due = again.get(id)
    again.delete(id)
    due?.cancel()
    try {
      await due?.run()
    } catch (error) {
      log.error('A closed account cannot be looked through again', { user: id, error: String(error) })
    }
  }

  function later(id: TenantId, run: () => Promise<void>): void {
    again.get(id)?.cancel()
    again.set(id, { run, cancel: clock.after(LOOK_AGAIN, () => void lookAgain(id)) })
  }

  async function remove(id: TenantId): Promise<void> {
    await removeAll(id)
    later(id, () => removeAll(id))
    log.info('An account was removed', { user: id })
  }

  async function resume(): Promise<void> {
    for (const { id } of accounts.leaving()) {
      try {
        await remove(id)
      } catch (error) {
        log.error('An account cannot be removed now', { user: id, error: String(error) })
      }
    }
  }

  return {
    name: 'account removal',
    start() {
      resuming = resume()
    },
    async stop() {
      await resuming
      await Promise.all([...again.keys()].map(lookAgain))
    },
    remove,
    async stopSessions(id) {
      await stopAll(id)
      later(id, () => stopAll(id))
    },
  }
}
