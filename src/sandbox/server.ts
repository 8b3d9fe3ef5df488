/**
 * The server half of the sandbox: a WhatsApp in miniature that unmodified clients connect to over a WebSocket. It holds
 * everything in memory, shares nothing between instances, and stops with all it started.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Server, ServerWebSocket } from 'bun'
import { type Clock, systemClock } from '../lib/clock'
import { certificateChain } from './certificate'
import { Channels } from './channels'
import { Chats } from './chats'
import { Connection, type Reception } from './connection'
import { Directory } from './directory'
import { actNow } from './fault-actions'
import { Faults } from './faults'
import { Groups } from './groups'
import { Caps, tellLimit } from './limits'
import { StanzaLog } from './log'
import { keyPairOf } from './noise'
import { Presence } from './presence'
import { Profiles } from './profiles'
import { type Random, systemRandom } from './random'
import { Stats } from './stats'
import type { PhoneRegistration, PhoneUplink } from './types'
import { attachPhone } from './uplink'
import type { World } from './world'

export type SandboxServerOptions = {
  host?: string
  /** 0 takes a free one. */
  port?: number
  clock?: Clock
  random?: Random
  /** Life of each ref in milliseconds; also says how many there are. Default: 60 s, then five times 20 s. */
  qrLifetimes?: readonly number[]
  /** 32 bytes: the private key of the certificate root. Default: a new one. */
  rootKey?: Buffer
  /** `host` or `host:port` of the media host, asked for at each use. */
  mediaHost?: () => string
  /** Keeps a sealed file on the media host and returns its path there. Default: app state comes without snapshots. */
  storeFile?: (sealed: Buffer) => string
  /** Clients below this version fail with 405. */
  minimumVersion?: readonly number[]
  /** Told of defects of the server itself. Default: they are thrown, unhandled, so that nobody overlooks them. */
  onTrouble?: (error: unknown, where: string) => void
}

/** A running (or not yet started) sandbox server. */
export type SandboxServer = {
  /** `ws://host:port/ws/chat`; throws before `start`. */
  readonly url: string
  /** Hex of the 32 bytes that clients have to trust as the certificate root. */
  readonly rootPublicKey: string
  readonly world: World
  readonly directory: Directory
  readonly groups: Groups
  readonly faults: Faults
  readonly log: StanzaLog
  readonly stats: Stats
  /** What uploads and downloads have to show as `auth`. */
  readonly mediaAuth: string
  attachPhone(phone: PhoneRegistration, receive: (stanza: BinaryNode) => void): PhoneUplink
  start(): Promise<void>
  stop(): Promise<void>
}

const PATH = '/ws/chat'
const LARGEST_MESSAGE = 2 ** 24 + 2 ** 12

type Socket = ServerWebSocket<{ connection: Connection | null }>

/** Builds a server; nothing is open before `start`. */
export function createSandboxServer(options: SandboxServerOptions = {}): SandboxServer {
  const clock = options.clock ?? systemClock
  const random = options.random ?? systemRandom
  const timers = new Set<() => void>()
  const world = makeWorld(options, clock, random, timers)
  const root = keyPairOf(options.rootKey ?? random(32))
  const serverStatic = keyPairOf(random(32))
  const reception: Reception = {
    serverStatic,
    certificates: certificateChain(root, keyPairOf(random(32)), serverStatic.public, Number(world.seconds())),
    ...(options.qrLifetimes && { qrLifetimes: options.qrLifetimes }),
    ...(options.minimumVersion && { minimumVersion: options.minimumVersion }),
  }
  const connections = new Set<Connection>()
  world.faults.onAdd((fault) => actNow(world, connections, fault))
  world.faults.onBegin((fault) => tellLimit(world, fault))
  world.faults.onEnd((fault) => {
    if (fault.kind === 'stall') for (const connection of connections) connection.resume(fault.id)
    tellLimit(world, fault)
  })

  let listener: Server<{ connection: Connection | null }> | null = null

  const fetch = (request: Request, server: Server<{ connection: Connection | null }>) => {
    if (new URL(request.url).pathname !== PATH) return new Response('Not found', { status: 404 })
    // Nothing is known of the client yet, so only faults for all can turn it away here.
    const fault = world.faults.hit('refuse', {}) ?? world.faults.hit('rate_limit', {})
    if (fault !== undefined) {
      world.stats.count('refused')
      return new Response(null, { status: fault.status ?? (fault.kind === 'refuse' ? 503 : 429) })
    }
    if (server.upgrade(request, { data: { connection: null } })) return undefined
    return new Response('A WebSocket is wanted here', { status: 426 })
  }

  return {
    get url() {
      if (listener === null) throw new Error('The sandbox server is not started')
      return `ws://${listener.hostname}:${listener.port}${PATH}`
    },
    rootPublicKey: root.public.toString('hex'),
    world,
    directory: world.directory,
    groups: world.groups,
    faults: world.faults,
    log: world.log,
    stats: world.stats,
    mediaAuth: world.mediaAuth,
    attachPhone: (phone, receive) => attachPhone(world, phone, receive),
    async start() {
      if (listener !== null) return
      listener = Bun.serve({
        hostname: options.host ?? '127.0.0.1',
        port: options.port ?? 0,
        fetch,
        websocket: {
          perMessageDeflate: false,
          idleTimeout: 0,
          maxPayloadLength: LARGEST_MESSAGE,
          backpressureLimit: 4 * LARGEST_MESSAGE,
          closeOnBackpressureLimit: true,
          open(socket: Socket) {
            world.stats.opened()
            const connection = new Connection(world, wireOf(socket), reception)
            socket.data.connection = connection
            connections.add(connection)
          },
          message(socket: Socket, data) {
            if (typeof data === 'string') socket.terminate()
            else socket.data.connection?.receive(data)
          },
          close(socket: Socket) {
            world.stats.closed()
            const { connection } = socket.data
            if (connection === null) return
            connection.closed()
            connections.delete(connection)
          },
        },
      })
    },
    async stop() {
      for (const connection of [...connections]) connection.cut()
      for (const cancel of [...timers]) cancel()
      timers.clear()
      const stopping = listener
      listener = null
      await stopping?.stop(true)
    },
  }
}

const wireOf = (socket: Socket) => ({
  send: (bytes: Buffer) => {
    socket.sendBinary(bytes)
  },
  close: () => socket.close(1000),
  terminate: () => socket.terminate(),
})

function makeWorld(
  options: SandboxServerOptions,
  clock: Clock,
  random: Random,
  timers: Set<() => void>,
): World {
  const seconds = () => String(Math.floor(clock.now() / 1000))
  const after = (ms: number, task: () => void) => {
    const cancel = clock.after(ms, () => {
      timers.delete(cancel)
      task()
    })
    timers.add(cancel)
    return () => {
      timers.delete(cancel)
      cancel()
    }
  }
  const prefix = random(4).toString('hex').toUpperCase()
  let stanzas = 0
  return {
    clock,
    random,
    directory: new Directory(random),
    groups: new Groups(random),
    channels: new Channels(random, clock.now),
    profiles: new Profiles(),
    presence: new Presence(seconds),
    pictures: new Map(),
    chats: new Chats(),
    caps: new Caps(),
    faults: new Faults(clock, after),
    log: new StanzaLog(clock.now),
    stats: new Stats(),
    registrations: new Set(),
    lines: new Map(),
    watchers: new Map(),
    nextId: () => `${prefix}${(++stanzas).toString(16).toUpperCase().padStart(8, '0')}`,
    seconds,
    after,
    trouble: options.onTrouble ?? rethrow,
    mediaHost: options.mediaHost ?? (() => 'mmg.whatsapp.net'),
    storeFile: options.storeFile ?? null,
    mediaAuth: random(24).toString('base64url'),
  }
}

function rethrow(error: unknown, where: string): void {
  queueMicrotask(() => {
    throw new Error(`The sandbox failed: ${where}`, { cause: error })
  })
}
