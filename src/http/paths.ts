/** Which methods exist for a path: what turns "no such route" into "this method is not allowed here". */
type Route = { method: string; path: string }

/** Makes a look-up over the routes that exist; `WS` stands for a WebSocket. */
export function methodLookUp(routes: readonly Route[]): (path: string) => string[] {
  const patterns = routes.map(({ method, path }) => ({ method, pattern: patternOf(path) }))
  return (path) => [
    ...new Set(patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method)),
  ]
}

const patternOf = (path: string): RegExp =>
  new RegExp(
    `^${path
      .replace(/\/$/, '')
      .split('/')
      .map((part) =>
        part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : part.replace(/[.+^$()[\]{}|\\]/g, '\\$&'),
      )
      .join('/')}/?$`,
  )
