/** A sandbox in the test's own process, and unmodified Baileys clients that connect to it. */
import makeWASocket, {
  type BaileysEventMap,
  DisconnectReason,
  initAuthCreds,
  type SignalDataSet,
  type SignalDataTypeMap,
  type UserFacingSocketConfig,
  WA_CERT_DETAILS,
  type WAMessage,
  type WASocket,
} from '@whiskeysockets/baileys'
import type { Phone } from '../../src/sandbox/phone'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox'
import { quietLibsignal } from '../../src/whatsapp/baileys/upstream/quiet-libsignal'

export type TestSandbox = Sandbox & {
  /** Stops the sandbox and puts back what the process trusted before. */
  stop(): Promise<void>
}

/** Starts a sandbox on free ports and makes this process trust it: certificate root and media host. */
export async function startSandbox(options: SandboxOptions = {}): Promise<TestSandbox> {
  const sandbox = createSandbox(options)
  await sandbox.start()
  const trusted = WA_CERT_DETAILS.PUBLIC_KEY
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(sandbox.rootPublicKey, 'hex')
  const distrust = trustMediaHost(sandbox)
  const quiet = quietLibsignal()
  const stop = sandbox.stop
  return Object.defineProperties(
    { ...Object.getOwnPropertyDescriptors(sandbox) },
    {
      ...Object.getOwnPropertyDescriptors(sandbox),
      stop: {
        value: async () => {
          await stop()
          WA_CERT_DETAILS.PUBLIC_KEY = trusted
          distrust()
          quiet.undo()
        },
      },
    },
  ) as unknown as TestSandbox
}

/** Baileys offers no way to give its `fetch` an authority, so the process's own is wrapped for this one host. */
export function trustMediaHost(sandbox: Pick<Sandbox, 'mediaHost' | 'caPem'>): () => void {
  const original = globalThis.fetch
  const { mediaHost, caPem } = sandbox
  const trusting = (input: string | URL | Request, init: BunFetchRequestInit = {}) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (url.hostname.endsWith('.whatsapp.net')) url.host = mediaHost
    return url.host === mediaHost ? original(url, { ...init, tls: { ca: caPem } }) : original(input, init)
  }
  globalThis.fetch = Object.assign(trusting, { preconnect: original.preconnect })
  return () => {
    globalThis.fetch = original
  }
}

/** Events as Baileys emits them, in order. */
export type Happened = {
  [Name in keyof BaileysEventMap]: { name: Name; data: BaileysEventMap[Name] }
}[keyof BaileysEventMap]

export interface BaileysClient {
  /** The current socket; another one after each reconnect. */
  readonly sock: WASocket
  /** Everything that has happened, over all sockets. */
  readonly events: readonly Happened[]
  /** All messages of all upserts. */
  readonly messages: readonly WAMessage[]
  readonly auth: MemoryAuth
  /** First event, past or yet to come, that `look` finds something in. */
  until<T>(look: (event: Happened) => T | undefined | null | false): Promise<T>
  /** The first message that fits. */
  untilMessage(fits: (message: WAMessage) => boolean): Promise<WAMessage>
  /** Opens a socket with the same credentials; resolves when it is open. */
  connect(): Promise<void>
  /** Opens a socket and resolves with its first QR text. */
  showQr(): Promise<string>
  /** Ends the socket and opens no other. */
  close(): Promise<void>
}

export type MemoryAuth = {
  creds: ReturnType<typeof initAuthCreds>
  keys: {
    get<T extends keyof SignalDataTypeMap>(
      type: T,
      ids: string[],
    ): Promise<Record<string, SignalDataTypeMap[T]>>
    set(data: SignalDataSet): Promise<void>
  }
}

/** Credentials and keys that live as long as the test. */
export function memoryAuth(): MemoryAuth {
  const store = new Map<string, unknown>()
  return {
    creds: initAuthCreds(),
    keys: {
      async get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]) {
        const found: Record<string, SignalDataTypeMap[T]> = {}
        for (const id of ids) {
          const value = store.get(`${type} ${id}`)
          if (value !== undefined) found[id] = value as SignalDataTypeMap[T]
        }
        return found
      },
      async set(data) {
        for (const [type, changes] of Object.entries(data)) {
          for (const [id, value] of Object.entries(changes ?? {})) {
            if (value === null) store.delete(`${type} ${id}`)
            else store.set(`${type} ${id}`, value)
          }
        }
      },
    },
  }
}

const silent = {
  level: 'silent',
  child: () => silent,
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
}

/** A raw Baileys client of a sandbox, not yet connected. */
export function baileysClient(
  sandbox: Pick<Sandbox, 'url'>,
  options: Partial<Omit<UserFacingSocketConfig, 'auth'>> & { auth?: MemoryAuth } = {},
): BaileysClient {
  const auth = options.auth ?? memoryAuth()
  const events: Happened[] = []
  const messages: WAMessage[] = []
  const sent = new Map<string, WAMessage['message']>()
  const watchers = new Set<(event: Happened) => void>()
  let current: WASocket | null = null
  let closing = false

  const happen = (event: Happened) => {
    events.push(event)
    if (event.name === 'messages.upsert') messages.push(...event.data.messages)
    for (const watcher of [...watchers]) watcher(event)
  }

  const open = () => {
    const sock = makeWASocket({
      waWebSocketUrl: sandbox.url,
      logger: silent,
      connectTimeoutMs: 5000,
      getMessage: async ({ id }) => sent.get(id ?? '') ?? undefined,
      ...options,
      auth,
    })
    current = sock
    // A retry can arrive before the own upsert is told, and Baileys' own cache does not know the chat under a LID.
    const send = sock.sendMessage
    sock.sendMessage = async (...said) => {
      const message = await send(...said)
      if (message?.key.id) sent.set(message.key.id, message.message)
      return message
    }
    sock.ev.process((batch) => {
      for (const [name, data] of Object.entries(batch)) {
        if (name === 'creds.update') Object.assign(auth.creds, data)
        happen({ name, data } as Happened)
      }
    })
    return sock
  }

  /** Reconnects at once when the server asks for it, as every application must. */
  const reopenOn515 = (event: Happened) => {
    if (event.name !== 'connection.update' || event.data.connection !== 'close' || closing) return
    if (statusOf(event.data.lastDisconnect?.error) === DisconnectReason.restartRequired) open()
  }
  watchers.add(reopenOn515)

  const watch = <T>(look: (event: Happened) => T | undefined | null | false, past: readonly Happened[]) => {
    for (const event of past) {
      const found = look(event)
      if (found) return Promise.resolve(found)
    }
    return new Promise<T>((resolve) => {
      const watcher = (event: Happened) => {
        const found = look(event)
        if (!found) return
        watchers.delete(watcher)
        resolve(found)
      }
      watchers.add(watcher)
    })
  }

  const connected = (event: Happened) =>
    event.name === 'connection.update' && event.data.connection === 'open' && event

  return {
    get sock() {
      if (!current) throw new Error('this client has not been connected')
      return current
    },
    events,
    messages,
    auth,
    until: (look) => watch(look, events),
    async untilMessage(fits) {
      return (
        messages.find(fits) ??
        (await watch((event) => event.name === 'messages.upsert' && event.data.messages.find(fits), []))
      )
    },
    async connect() {
      const opened = watch(connected, [])
      open()
      await opened
    },
    async showQr() {
      const qr = watch((event) => event.name === 'connection.update' && event.data.qr, [])
      open()
      return await qr
    },
    async close() {
      closing = true
      await current?.end(undefined)
    },
  }
}

/** The status code in a disconnect error. */
export const statusOf = (error: unknown): number | undefined =>
  (error as { output?: { statusCode?: number } } | undefined)?.output?.statusCode

/** Links a new client to a phone by QR; resolves when it has restarted, logged in and is open. */
export async function pairWithBaileys(
  sandbox: Pick<Sandbox, 'url'>,
  phone: Phone,
  options: Partial<Omit<UserFacingSocketConfig, 'auth'>> = {},
): Promise<BaileysClient> {
  const client = baileysClient(sandbox, options)
  const qr = await client.showQr()
  const open = client.until((event) => event.name === 'connection.update' && event.data.connection === 'open')
  await phone.scan(qr)
  await open
  return client
}

/** The plain text of a message, wherever Baileys puts it. */
export const textOf = ({ message }: WAMessage): string | null =>
  message?.conversation ?? message?.extendedTextMessage?.text ?? null

/** Whether an event gives a sent message this status, by itself or folded into the message's own upsert. */
export const hasStatus = (event: Happened, id: string, status: number): boolean =>
  (event.name === 'messages.update' &&
    event.data.some(({ key, update }) => key.id === id && update.status === status)) ||
  (event.name === 'messages.upsert' &&
    event.data.messages.some((message) => message.key.id === id && message.status === status))
