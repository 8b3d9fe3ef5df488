/** A conversation over the whole product: its API on one side, simulated phones and unmodified Baileys on the other. */
import { OWNER_KEY, startApp, type TestApp, type TestAppOptions } from '../harness/app'
import { type BaileysClient, baileysClient, trustMediaHost } from '../harness/sandbox'

export type Fields = Record<string, unknown>
/** A message as a phone shows it. */
export type Shown = {
  id: string
  chat: string
  from: string
  fromMe: boolean
  content: Fields
  edited: boolean
  deleted: boolean
  pinned: boolean
  reactions: Fields[]
  votes: Fields[]
  refused?: string
} & Fields
export type View = Fields & { id: string; type: string }
export type Told = Fields & { event: string; sessionId: string; messageId?: string }
export type SentAnswer = { messageId: string; status: string; items?: { messageId: string }[] } & Fields

export interface Talk {
  readonly app: TestApp
  /** The session of the number in whose place we speak. */
  readonly session: string
  /** Links an unmodified Baileys to this phone. */
  link(number: string): Promise<BaileysClient>
  /** Lets a phone say something; resolves with the message id. */
  say(number: string, to: string, content: unknown, audience?: string[]): Promise<string>
  /** Sends by the API; fails unless it is taken. */
  send(type: string, to: string | null, fields?: Fields): Promise<SentAnswer>
  /** The same, whatever the answer. */
  trySend(type: string, to: string | null, fields?: Fields): Promise<{ status: number; body: Fields }>
  /** A message at a phone, as soon as it is there and fits. */
  shownAt(number: string, id: string, fits?: (shown: Shown) => boolean): Promise<Shown>
  /** A message in the API, as soon as it is there and fits. */
  viewOf(id: string, fits?: (view: View) => boolean): Promise<View>
  /** An event that tells of this message. */
  eventOf(id: string, name?: string): Promise<Told>
  /** Everything told up to now. */
  told(): Promise<readonly Told[]>
  /** The file of a message, as the API gives it. */
  fileOf(id: string, headers?: Record<string, string>, method?: string): Promise<Response>
  /** The file of a message, as a phone opens it. */
  fileAt(number: string, id: string): Promise<Buffer>
  stop(): Promise<void>
}

/** Asks until there is something. */
export async function eventually<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const deadline = performance.now() + 15_000
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > deadline) throw new Error(`Still no ${what}`)
    await Bun.sleep(10)
  }
}

/** Starts the product, the phones and a session linked to the phone `ours`. */
export async function startTalk(
  ours: string,
  phones: Readonly<Record<string, string>>,
  options: TestAppOptions & { settings?: Record<string, unknown> } = {},
): Promise<Talk> {
  const app = await startApp(options)
  for (const [number, name] of Object.entries(phones)) await app.phone(number, name)
  const session = await app.linked(ours, options.settings)
  const { endpoint } = app.app
  const [mediaHost = ''] = endpoint.mediaHosts
  const distrust = trustMediaHost({ mediaHost, caPem: endpoint.mediaCa ?? '' })
  const clients: BaileysClient[] = []

  const events: Told[] = []
  let cursor = ''
  const told = async (): Promise<readonly Told[]> => {
    for (;;) {
      const page = await app.ok<{ events: Told[]; cursor: string }>(
        'GET',
        `/api/events?limit=100${cursor === '' ? '' : `&after=${encodeURIComponent(cursor)}`}`,
      )
      events.push(...page.events)
      cursor = page.cursor
      if (page.events.length === 0) return events
    }
  }
  const trySend = (type: string, to: string | null, fields: Fields = {}) =>
    app.call<Fields>('POST', `/api/messages/send/${type}`, {
      body: { sessionId: session, ...(to === null ? {} : { to }), ...fields },
    })

  return {
    app,
    session,
    async link(number) {
      const client = baileysClient({ url: endpoint.url })
      clients.push(client)
      const qr = await client.showQr()
      const open = client.until(
        ({ name, data }) => name === 'connection.update' && data.connection === 'open',
      )
      await app.ok('POST', `/sandbox/phones/${number}/scan`, { body: { qr } })
      await open
      return client
    },
    async say(number, to, content, audience) {
      const { message } = await app.ok<{ message: { id: string } }>(
        'POST',
        `/sandbox/phones/${number}/messages`,
        { body: { to, content, ...(audience ? { audience } : {}) } },
      )
      return message.id
    },
    trySend,
    async send(type, to, fields) {
      const { status, body } = await trySend(type, to, fields)
      if (status >= 300) throw new Error(`${type} answered ${status}: ${JSON.stringify(body)}`)
      return body as SentAnswer
    },
    shownAt: (number, id, fits = () => true) =>
      eventually(`message ${id} at ${number}`, async () => {
        const answer = await app.call<{ message: Shown }>('GET', `/sandbox/phones/${number}/messages/${id}`)
        return answer.status === 200 && fits(answer.body.message) ? answer.body.message : null
      }),
    viewOf: (id, fits = () => true) =>
      eventually(`message ${id} in the API`, async () => {
        const answer = await app.call<{ message: View }>('GET', `/api/messages/${session}/${id}`)
        return answer.status === 200 && fits(answer.body.message) ? answer.body.message : null
      }),
    eventOf: (id, name) =>
      eventually(
        `event of ${id}`,
        async () =>
          (await told()).find(
            ({ messageId, event }) => messageId === id && (name === undefined || event === name),
          ) ?? null,
      ),
    told,
    fileOf: (id, headers = {}, method = 'GET') =>
      fetch(`${app.url}/api/messages/${session}/${id}/media`, {
        method,
        headers: { 'x-api-key': OWNER_KEY, ...headers },
      }),
    async fileAt(number, id) {
      const { base64 } = await app.ok<{ base64: string }>(
        'GET',
        `/sandbox/phones/${number}/messages/${id}/media`,
      )
      return Buffer.from(base64, 'base64')
    },
    async stop() {
      for (const client of clients) await client.close()
      // The app's own guard of `fetch` lies below and can only be taken away from the top.
      distrust()
      await app.stop()
    },
  }
}
