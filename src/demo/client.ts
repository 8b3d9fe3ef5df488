/** A client of the API in a few lines: fetch, the key, and the error's own sentence when something is refused. */
export type ApiClient = {
  <Answer = unknown>(method: string, path: string, body?: unknown): Promise<Answer>
  /** The answer of a GET as text. */
  text(path: string): Promise<string>
}

/** Makes a client that sends `apiKey` with every request. */
export function createApiClient(url: string, apiKey: string): ApiClient {
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(url + path, {
      method,
      headers: {
        'x-api-key': apiKey,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (response.ok) return response
    const told = (await response.json()) as { error?: string; code?: string }
    throw new Error(`${method} ${path} answered ${response.status} ${told.code}: ${told.error}`)
  }
  const client = async <Answer>(method: string, path: string, body?: unknown) =>
    (await (await call(method, path, body)).json()) as Answer
  return Object.assign(client, { text: async (path: string) => (await call('GET', path)).text() })
}
