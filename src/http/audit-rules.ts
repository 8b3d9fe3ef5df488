/**
 * What of the API goes into the audit log. The rule is general, so that a new route cannot be forgotten: whatever changes
 * something, and whatever only an administrator may do. What is exempted stands in a list with its reason.
 */
import { ACCESS } from './guard'

/** `each`: every call, with its result. `together`: like calls of a minute in one or two entries. */
export type AuditMode = 'each' | 'together' | 'never'

/** Routes with a rule of their own; a star stands for any end. */
const EXCEPTIONS: readonly { route: string; mode: AuditMode; why: string }[] = [
  {
    route: 'GET /api/sessions/{id}/qr',
    mode: 'together',
    why: 'who sees the code can link a phone; it is polled every few seconds',
  },
  {
    route: 'POST /api/auth/ticket',
    mode: 'never',
    why: 'a ticket lives for 30 seconds and can do only what its credentials can, whose use is recorded',
  },
  { route: 'POST /sandbox/*', mode: 'never', why: 'test equipment, which acts on nothing but itself' },
  { route: 'GET /sandbox/*', mode: 'never', why: 'test equipment, which acts on nothing but itself' },
  { route: 'DELETE /sandbox/*', mode: 'never', why: 'test equipment, which acts on nothing but itself' },
]

type Route = { method: string; path: string; hooks: { detail?: object } }

const READS = ['GET', 'HEAD', 'WS', 'OPTIONS']
/** `/api/sessions/:id` → `/api/sessions/{id}`, as the OpenAPI document names it. */
const named = (path: string): string => path.replace(/(.)\/$/, '$1').replace(/:(\w+)/g, '{$1}')

/** `access` is the scopes that the route asks for; empty for a public one. */
export function auditModeOf(action: string, access: readonly string[]): AuditMode {
  const exception = EXCEPTIONS.find(({ route }) =>
    route.endsWith('*') ? action.startsWith(route.slice(0, -1)) : action === route,
  )
  if (exception) return exception.mode
  if (access.includes('admin')) return 'each'
  if (READS.includes(action.slice(0, action.indexOf(' ')))) return 'never'
  // Messages have a history and events of their own, and sending must not wait for a second write.
  return access.length > 0 && access.every((scope) => scope === 'messages:write') ? 'never' : 'each'
}

/** A call that goes into the log: the route as documented, and what its path says. */
export type AuditedCall = {
  action: string
  mode: Exclude<AuditMode, 'never'>
  params: Record<string, string>
}
type Rule = { action: string; mode: Exclude<AuditMode, 'never'>; pattern: RegExp; names: string[] }

/** Makes the look-up over the routes that exist; null for what does not go into the log. */
export function auditLookUp(routes: readonly Route[]): (method: string, path: string) => AuditedCall | null {
  const rules = new Map<string, Rule[]>()
  for (const { method, path, hooks } of routes) {
    const action = `${method} ${named(path)}`
    const access = hooks.detail && ACCESS in hooks.detail ? ([hooks.detail[ACCESS]].flat() as string[]) : []
    const mode = auditModeOf(action, access)
    if (mode === 'never') continue
    const names: string[] = []
    const pattern = named(path)
      .replace(/[.+^$()[\]|\\*]/g, '\\$&')
      .replace(/\{(\w+)\}/g, (_, name: string) => {
        names.push(name)
        return '([^/]+)'
      })
    const key = keyOf(method, path)
    rules.set(key, [
      ...(rules.get(key) ?? []),
      { action, mode, pattern: new RegExp(`^${pattern}/?$`), names },
    ])
  }
  // What is fixed comes before what is not, as in the router.
  for (const list of rules.values()) list.sort((a, b) => a.names.length - b.names.length)
  return (method, path) => {
    for (const { action, mode, pattern, names } of rules.get(keyOf(method, path)) ?? []) {
      const found = pattern.exec(path)
      if (!found) continue
      const params = Object.fromEntries(names.map((name, index) => [name, found[index + 1] ?? '']))
      return { action, mode, params }
    }
    return null
  }
}

/** Most requests are told apart by method and the first two names of their path. */
function keyOf(method: string, path: string): string {
  const second = path.indexOf('/', 1)
  const third = second === -1 ? -1 : path.indexOf('/', second + 1)
  return `${method}${third === -1 ? path : path.slice(0, third)}`
}
