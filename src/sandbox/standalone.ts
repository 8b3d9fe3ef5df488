/** The sandbox as a process of its own: WhatsApp in miniature, and its control API on a port beside it. */
import { timingSafeEqual } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Elysia } from 'elysia'
import { SandboxError } from './errors'
import { sandboxRoutes } from './routes'
import { createSandbox, type Sandbox, type SandboxOptions } from './sandbox'

export type StandaloneOptions = SandboxOptions & {
  /** Port of the control API; 0 takes a free one. */
  controlPort: number
  /** Where the media host's authority is written, for `NODE_EXTRA_CA_CERTS`. */
  caFile: string
  /** Callers must show this in `X-API-Key`. May only be missing on a loopback address. */
  apiKey?: string
}

export type StandaloneSandbox = {
  sandbox: Sandbox
  /** Address of the control API. */
  controlUrl: string
  /** The variables that point a server at this sandbox, as lines to copy. */
  environment: string[]
  stop(): Promise<void>
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** Starts the sandbox and its control API; throws when it would be open to the network without a key. */
export async function startStandaloneSandbox(options: StandaloneOptions): Promise<StandaloneSandbox> {
  const { controlPort, caFile, apiKey, ...rest } = options
  const host = rest.host ?? '127.0.0.1'
  if (!LOOPBACK.has(host) && apiKey === undefined) {
    throw new Error(`A sandbox on ${host} is open to the network and needs an API key`)
  }
  const sandbox = createSandbox(rest)
  await sandbox.start()
  writeFileSync(caFile, sandbox.caPem, { mode: 0o600 })
  const control = new Elysia({ normalize: false, aot: true })
    .onRequest(({ request, set }) => {
      const refused = refusal(request, apiKey)
      if (!refused) return undefined
      set.status = refused.status
      return shape(refused)
    })
    .onError(({ error, code, set }) => {
      const told = inShape(error, String(code))
      set.status = told.status
      return shape(told)
    })
    .use(sandboxRoutes({ sandbox }))
    .listen({ hostname: host, port: controlPort })
  const port = control.server?.port
  return {
    sandbox,
    controlUrl: `http://${host}:${port}`,
    environment: [
      `WHATSAPP_URL=${sandbox.url}`,
      `WHATSAPP_ROOT_KEY=${sandbox.rootPublicKey}`,
      `WHATSAPP_MEDIA_HOSTS=${sandbox.mediaHost}`,
      `NODE_EXTRA_CA_CERTS=${caFile}`,
    ],
    async stop() {
      await control.stop(true)
      await sandbox.stop()
    },
  }
}

type Told = { code: string; status: number; message: string; details?: Record<string, unknown> | undefined }

const shape = ({ code, status, message, details }: Told) => ({
  success: false as const,
  error: message,
  code,
  status,
  ...(details ? { details } : {}),
})

/** A page in a browser can reach a loopback address under a name of its own; the name gives it away. */
function refusal(request: Request, apiKey: string | undefined): Told | null {
  if (apiKey !== undefined) {
    const given = Buffer.from(request.headers.get('x-api-key') ?? '')
    const wanted = Buffer.from(apiKey)
    const fits = given.length === wanted.length && timingSafeEqual(given, wanted)
    return fits ? null : { code: 'AUTH_REQUIRED', status: 401, message: 'This API key is not valid' }
  }
  const name = new URL(request.url).hostname.replace(/^\[|\]$/g, '')
  return LOOPBACK.has(name) ? null : { code: 'FORBIDDEN', status: 403, message: 'Not under this name' }
}

function inShape(error: unknown, code: string): Told {
  if (error instanceof SandboxError) return error
  if (code === 'VALIDATION') {
    const { path, message } = firstProblem(error)
    return {
      code: 'VALIDATION_ERROR',
      status: 400,
      message: 'The request is not valid',
      details: { fields: [{ path, message }] },
    }
  }
  if (code === 'PARSE') return { code: 'INVALID_JSON', status: 400, message: 'The body is not valid JSON' }
  if (code === 'NOT_FOUND') return { code: 'ROUTE_NOT_FOUND', status: 404, message: 'There is no such route' }
  return {
    code: 'INTERNAL_ERROR',
    status: 500,
    message: error instanceof Error ? error.message : String(error),
  }
}

function firstProblem(error: unknown): { path: string; message: string } {
  const { all } = error as { all?: { path?: string; message?: string }[] }
  const [first] = all ?? []
  return { path: first?.path ?? '', message: first?.message ?? 'not valid' }
}
