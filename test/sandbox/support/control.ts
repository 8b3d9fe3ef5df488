/** The control API without a port: routes, and errors in the shape that tells their code. */
import { Elysia } from 'elysia'
import { SandboxError } from '../../../src/sandbox/errors'
import { sandboxRoutes } from '../../../src/sandbox/routes'
import type { Sandbox } from '../../../src/sandbox/sandbox'

/** Calls a route of `/sandbox`; `Body` is what the caller expects to find. */
export function control<Body>(sandbox: Sandbox) {
  const app = new Elysia({ normalize: false })
    .onError(({ error, code, set }) => {
      set.status = error instanceof SandboxError ? error.status : code === 'VALIDATION' ? 400 : 500
      return { code: error instanceof SandboxError ? error.code : String(code) }
    })
    .use(sandboxRoutes({ sandbox }))
  return async (method: string, path: string, body?: object) => {
    const answer = await app.handle(
      new Request(`http://localhost/sandbox${path}`, {
        method,
        ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      }),
    )
    return { status: answer.status, body: (await answer.json()) as Body }
  }
}
