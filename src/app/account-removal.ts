/** What becomes of the sessions of an account that is closed. An interrupted removal goes on at the next start. */
import type { TenantId } from '../domain/ids'
import type { Accounts } from '../domain/principal'
import type { Sessions } from '../domain/session'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { Supervisor } from '../sessions/supervisor'

export interface AccountRemoval extends Part {
  /** Logs the devices out, and removes the account with all that belongs to it. Nobody can get in any more by then. */
  remove(id: TenantId): Promise<void>
  /** Stops its sessions; their devices stay linked. */
  stopSessions(id: TenantId): Promise<void>
}

/** Makes the part. */
export function createAccountRemoval(parts: {
  accounts: Pick<Accounts, 'leaving' | 'removeUser'>
  sessions: Pick<Sessions, 'list'>
  supervisor: Pick<Supervisor, 'removeTenant' | 'command'>
  log: Log
}): AccountRemoval {
  const { accounts, sessions, supervisor, log } = parts
  let resuming: Promise<void> = Promise.resolve()

  async function remove(id: TenantId): Promise<void> {
    await supervisor.removeTenant(id)
    await accounts.removeUser(id)
    // What a request has made that was under way when the account was closed.
    await supervisor.removeTenant(id)
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
    stop: () => resuming,
    remove,
    async stopSessions(id) {
      const { sessions: own } = sessions.list({ tenantId: id, limit: Number.MAX_SAFE_INTEGER, offset: 0 })
      await Promise.all(own.map((session) => supervisor.command(session.id, 'stop')))
    },
  }
}
