/**
 * A WhatsApp in miniature, whole: server, media host and simulated phones. A library for tests, a part of the app when
 * it runs with its own sandbox, and a process of its own.
 */
import { type Clock, systemClock } from '../lib/clock'
import { SandboxError } from './errors'
import { createMediaHost, type MediaHost } from './media'
import { createPhone, type Phone, type PhoneOptions } from './phone'
import { createSandboxServer, type SandboxServer, type SandboxServerOptions } from './server'
import { openState, type SandboxState } from './state'
import { openWorldMemory, type WorldMemory } from './world-memory'

export type SandboxOptions = Omit<SandboxServerOptions, 'mediaHost' | 'storeFile' | 'rootKey'> & {
  /** Port of the media host; default: a free one. */
  mediaPort?: number
  /** How long an uploaded file can be downloaded, in milliseconds. */
  mediaLifetimeMs?: number
  /** SQLite file that remembers everything; without it the sandbox forgets with its process. */
  stateFile?: string
  /** Told of defects of the sandbox itself. Default: they are thrown, unhandled, so that nobody overlooks them. */
  onTrouble?: (error: unknown, where: string) => void
}

export type SandboxGroup = { jid: string; subject: string; owner: string; members: string[] }

export interface Sandbox {
  /** `ws://…`; what clients connect to. */
  readonly url: string
  /** Hex of the key that clients must trust for the certificate chain. */
  readonly rootPublicKey: string
  /** `host:port`, TLS under the authority in `caPem`. */
  readonly mediaHost: string
  readonly caPem: string
  readonly server: SandboxServer
  readonly media: MediaHost
  readonly phones: ReadonlyMap<string, Phone>
  /** Switches a phone on; its number is on WhatsApp from then on. Throws when it is on already. */
  addPhone(options: PhoneOptions): Phone
  /** The phone with this number, in any spelling; throws `PHONE_NOT_FOUND`. */
  phone(phoneNumber: string): Phone
  createGroup(group: { owner: string; subject: string; members: string[] }): Promise<SandboxGroup>
  /** Writes what has changed to the state file now, instead of within a few milliseconds. */
  save(): void
  start(): Promise<void>
  stop(): Promise<void>
}

/** The world is written this long after it changed; pairings at once. */
const SAVE_DELAY_MS = 10

/** Builds a sandbox; nothing is open before `start`, except the state file. */
export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const clock: Clock = options.clock ?? systemClock
  const state = openState(options.stateFile)
  const trouble = options.onTrouble ?? rethrow
  const media: MediaHost = createMediaHost({
    state,
    now: clock.now,
    accepts: (auth) => auth === server.mediaAuth,
    ...(options.host === undefined ? {} : { hostname: options.host }),
    ...(options.mediaPort === undefined ? {} : { port: options.mediaPort }),
    ...(options.mediaLifetimeMs === undefined ? {} : { lifetimeMs: options.mediaLifetimeMs }),
    faults: {
      of: (kind) => server.faults.of(kind),
      use: (fault) => server.faults.use(fault),
      onEnd: (listener) => server.faults.onEnd(listener),
    },
    fault: {
      standing: () => server.faults.of('media_gone')[0]?.id ?? null,
      hit: () => {
        const [fault] = server.faults.of('media_gone')
        if (fault) server.faults.use(fault)
      },
    },
  })
  const server = createSandboxServer({
    ...options,
    rootKey: loadRootKey(state),
    mediaHost: () => media.host,
    storeFile: (sealed) => media.store(sealed),
  })
  const memory: WorldMemory | null = state.durable ? openWorldMemory(state, server.world) : null
  const phones = new Map<string, Phone>()

  let cancelSave: (() => void) | null = null
  const save = () => {
    cancelSave?.()
    cancelSave = null
    memory?.save()
  }
  if (memory) {
    server.log.onRecord(() => {
      cancelSave ??= clock.after(SAVE_DELAY_MS, save)
    })
  }

  const fetchMedia = (url: string, init: RequestInit = {}) =>
    fetch(url, { ...init, tls: { ca: media.caPem } })

  function switchOn(phone: PhoneOptions): Phone {
    const made = createPhone(phone, {
      state,
      clock,
      attach: (registration, receive) => {
        const uplink = server.attachPhone(registration, receive)
        return {
          ...uplink,
          send(stanza) {
            uplink.send(stanza)
            // What a phone was told is sent must wait for its readers in the state, not in this process alone.
            if (stanza.tag === 'message') save()
          },
          async link(ref, grant) {
            const device = await uplink.link(ref, grant)
            // A linked device must never be forgotten, whatever happens to this process in the next millisecond.
            save()
            return device
          },
          unlink(deviceId) {
            uplink.unlink(deviceId)
            save()
          },
        }
      },
      media: { fetch: fetchMedia, renew: (path) => media.renew(path) },
      onTrouble: (error, stanza) => trouble(error, `phone ${phone.phoneNumber}, <${stanza.tag}>`),
    })
    phones.set(made.phoneNumber, made)
    return made
  }

  for (const { value } of state.entries(PHONES)) switchOn(JSON.parse(value.toString()))
  save()

  const sandbox: Sandbox = {
    get url() {
      return server.url
    },
    rootPublicKey: server.rootPublicKey,
    get mediaHost() {
      return media.host
    },
    caPem: media.caPem,
    server,
    media,
    phones,

    addPhone(phone) {
      const phoneNumber = phone.phoneNumber.replace(/\D/g, '')
      if (!/^\d{5,15}$/.test(phoneNumber)) {
        throw new SandboxError('INVALID_PHONE_NUMBER', 400, 'A phone number has 5 to 15 digits')
      }
      const other = server.directory.lookUp(phoneNumber)?.phoneNumber ?? phoneNumber
      if (phones.has(other)) {
        throw new SandboxError('PHONE_EXISTS', 409, `There is a phone with the number ${other}`)
      }
      const options = { ...phone, phoneNumber }
      const made = switchOn(options)
      state.write(PHONES, new Map([[phoneNumber, Buffer.from(JSON.stringify(options))]]))
      save()
      return made
    },

    phone(phoneNumber) {
      const found = phones.get(phoneNumber.replace(/\D/g, ''))
      if (!found) {
        throw new SandboxError('PHONE_NOT_FOUND', 404, `There is no phone with the number ${phoneNumber}`)
      }
      return found
    },

    async createGroup({ owner, subject, members }) {
      const made = await sandbox.phone(owner).createGroup(subject, members)
      save()
      const group = server.groups.get(made.jid)
      const numbers = [...(group?.members.keys() ?? [])].map(({ phoneNumber }) => phoneNumber)
      return { jid: made.jid, subject, owner: sandbox.phone(owner).phoneNumber, members: numbers }
    },

    save,
    async start() {
      media.start()
      await server.start()
    },
    async stop() {
      await server.stop()
      // A phone finishes what it is doing, and may need the media host for it.
      for (const phone of phones.values()) await phone.close()
      await media.stop()
      save()
      state.close()
    },
  }
  return sandbox
}

const PHONES = 'phones'

function loadRootKey(state: SandboxState): Buffer {
  const stored = state.get('server', 'root-key')
  if (stored) return stored
  const made = Buffer.from(crypto.getRandomValues(new Uint8Array(32)))
  state.write('server', new Map([['root-key', made]]))
  return made
}

function rethrow(error: unknown, where: string): void {
  queueMicrotask(() => {
    throw new Error(`The sandbox failed: ${where}`, { cause: error })
  })
}
