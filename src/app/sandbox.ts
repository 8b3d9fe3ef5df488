/** The sandbox inside this process; loaded only when it is asked for, so that nothing of it is reachable otherwise. */
import type { AnyElysia } from 'elysia'
import { Elysia } from 'elysia'
import type { SessionId } from '../domain/ids'
import type { Session } from '../domain/session'
import type { Guard } from '../http/guard'
import { readLargeJson } from '../http/json'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import type { SandboxOptions } from '../sandbox/sandbox'
import type { Endpoint } from '../whatsapp/baileys/trust'

export type EmbeddedSandbox = {
  endpoint: Endpoint
  /** The control API under `/sandbox`, for the scope `admin`. */
  routes(find: (id: SessionId) => Session | null): (guard: Guard) => AnyElysia
  /** The parts of an error of the control API, or null when it is not one. */
  translate(error: unknown): ForeignError | null
  stop(): Promise<void>
}
export type ForeignError = {
  code: string
  status: number
  message: string
  details?: Record<string, unknown> | undefined
}

/** Starts a sandbox that remembers its phones in `stateFile`. */
export async function embedSandbox(parts: {
  stateFile: string
  clock: Clock
  log: Log
  options?: Partial<SandboxOptions>
}): Promise<EmbeddedSandbox> {
  const [{ createSandbox }, { sandboxRoutes }, { SandboxError }] = await Promise.all([
    import('../sandbox/sandbox'),
    import('../sandbox/routes'),
    import('../sandbox/errors'),
  ])
  const log = parts.log.with({ part: 'sandbox' })
  const sandbox = createSandbox({
    stateFile: parts.stateFile,
    clock: parts.clock,
    onTrouble: (error, where) => log.error('The sandbox has failed', { where, error: String(error) }),
    ...parts.options,
  })
  await sandbox.start()
  return {
    endpoint: {
      url: sandbox.url,
      rootKey: Buffer.from(sandbox.rootPublicKey, 'hex'),
      mediaHosts: [sandbox.mediaHost],
      mediaCa: sandbox.caPem,
    },
    routes: (find) => (guard) =>
      new Elysia({ normalize: false }).use(guard).guard({ access: 'admin', parse: readLargeJson }, (app) =>
        app.use(
          sandboxRoutes({
            sandbox,
            clientOf: (id) => {
              const number = find(id as SessionId)?.me?.phoneNumber
              return number === undefined ? null : { phoneNumber: number }
            },
          }),
        ),
      ),
    translate: (error) => (error instanceof SandboxError ? error : null),
    stop: () => sandbox.stop(),
  }
}
