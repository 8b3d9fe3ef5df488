/**
 * One WebSocket of a companion: introduction, Noise handshake, then either a registration or a login, then stanzas.
 * Anything that is not the protocol ends the connection.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { sendBacklog } from './delivery'
import { compareVersions, type FaultTarget, isOutdated } from './faults'
import { groupReceipts } from './grouped-receipts'
import { identify, REPLACED, welcome } from './login'
import { node } from './node'
import { type Cipher, type KeyPair, keyPairOf, Responder } from './noise'
import { Refusal } from './refusal'
import { QR_LIFETIMES, Registration, readCompanion } from './registration'
import { receiveStanza } from './stanzas/dispatch'
import type { Device, DeviceLink } from './types'
import { FrameReader, frameOf, LENGTH_BYTES, readStanza, STREAM_HEADER, writeStanza } from './wire'
import type { Line, Origin, World } from './world'

/** The WebSocket below. */
export type Wire = {
  send(bytes: Buffer): void
  /** Closes after what was sent has left. */
  close(): void
  /** Cuts without a closing handshake. */
  terminate(): void
}

/** What all connections of a server have in common. */
export type Reception = {
  serverStatic: KeyPair
  certificates: Buffer
  qrLifetimes?: readonly number[]
  /** Clients below it are turned away with 405. */
  minimumVersion?: readonly number[]
}

type Phase = 'hello' | 'finish' | 'open' | 'closed'

/** How long a client that was told goodbye may take to close; then it is cut. */
const GOODBYE_MS = 5_000

/** One connection, from its first byte to its last. */
export class Connection implements Line, DeviceLink {
  readonly #reader = new FrameReader()
  readonly #noise: Responder
  #phase: Phase = 'hello'
  #incoming: Cipher | null = null
  #outgoing: Cipher | null = null
  #registration: Registration | null = null
  #origin: Origin | null = null
  /** Frames and chunks that wait while the connection is stalled, and the fault that made them wait. */
  #held: { by: string; out: Buffer[]; in: Buffer[] } | null = null
  #cancelGoodbye: () => void = () => {}

  /** What faults may know it by. */
  readonly target: FaultTarget = {}

  constructor(
    readonly world: World,
    readonly wire: Wire,
    readonly reception: Reception,
  ) {
    this.#noise = new Responder(reception.serverStatic, keyPairOf(world.random(32)), STREAM_HEADER)
    this.#stallByFault()
  }

  /** The logged-in device; throws before the login. */
  get device(): Device {
    if (this.#origin === null) throw new Error('Not logged in')
    return this.#origin.device
  }

  /** The waiting companion, if this is one. */
  get registration(): Registration | null {
    return this.#registration
  }

  /** Takes bytes from the socket. */
  receive(chunk: Buffer): void {
    if (this.#holds(() => chunk)) return
    const frames = this.#orCut(() => this.#reader.push(chunk)) ?? []
    for (const frame of frames) {
      if (this.#phase === 'closed') return
      // A frame may stall the connection; the rest then waits with what comes later.
      if (!this.#holds(() => frameOf(frame))) this.#onFrame(frame)
    }
  }

  /** Keeps bytes for later while the connection is stalled. */
  #holds(bytes: () => Buffer): boolean {
    this.#held?.in.push(bytes())
    return this.#held !== null
  }

  #onFrame(frame: Buffer): void {
    const stanza = this.#orCut(() => {
      if (this.#incoming !== null) return readStanza(this.#incoming.open(frame))
      if (this.#phase === 'hello') this.#onHello(frame)
      else this.#onFinish(frame)
      return undefined
    })
    if (stanza === undefined) return
    this.world.stats.count('stanzasIn')
    this.world.log.record('in', this.#who(), stanza)
    try {
      if (this.#origin !== null) receiveStanza(this.world, this.#origin, stanza)
      else this.#registration?.receive(stanza)
    } catch (error) {
      this.world.trouble(error, `<${stanza.tag}> of ${this.target.phoneNumber ?? 'an unlinked client'}`)
      this.cut()
    }
  }

  /** A broken frame, a forged handshake, bytes that are no stanza: there is nobody to talk to. */
  #orCut<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch {
      this.cut()
      return undefined
    }
  }

  #onHello(frame: Buffer): void {
    const ephemeral = proto.HandshakeMessage.decode(frame).clientHello?.ephemeral
    if (ephemeral?.length !== 32) throw new Error('No ephemeral key')
    const serverHello = this.#noise.hello(Buffer.from(ephemeral), this.reception.certificates)
    this.#phase = 'finish'
    this.#write(frameOf(proto.HandshakeMessage.encode({ serverHello }).finish()))
  }

  #onFinish(frame: Buffer): void {
    const message = proto.HandshakeMessage.decode(frame).clientFinish
    if (!message?.static || !message.payload) throw new Error('Incomplete handshake')
    const finish = this.#noise.finish({ static: message.static, payload: message.payload })
    this.#incoming = finish.incoming
    this.#outgoing = finish.outgoing
    this.#phase = 'open'
    this.world.stats.count('handshakes')
    this.target.noiseKey = finish.clientStatic.toString('hex')
    const payload = proto.ClientPayload.decode(finish.payload)
    if (payload.username) this.target.phoneNumber = String(payload.username)
    try {
      this.#admit(payload)
      if (payload.username) this.#logIn(payload, finish.clientStatic)
      else this.#register(payload, finish.clientStatic)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.world.stats.count('loginFailures')
      this.end(node('failure', { reason: String(error.code), location: 'sbx' }))
    }
  }

  /** Turns clients away for what they are or for what befell them, before asking who they are. */
  #admit(payload: proto.IClientPayload): void {
    const { faults } = this.world
    if (!payload.userAgent?.appVersion) throw new Refusal(409, 'bad-user-agent')
    const { primary, secondary, tertiary } = payload.userAgent.appVersion
    const version = [primary ?? 0, secondary ?? 0, tertiary ?? 0]
    const { minimumVersion } = this.reception
    if (minimumVersion !== undefined && compareVersions(version, minimumVersion) < 0) {
      throw new Refusal(405, 'client-outdated')
    }
    const outdated = faults.find('outdated', this.target)
    if (outdated !== undefined && isOutdated(outdated, version)) {
      faults.hit('outdated', this.target)
      throw new Refusal(405, 'client-outdated')
    }
    const ban = payload.username ? faults.hit('ban', this.target) : undefined
    if (ban !== undefined) {
      this.ban(ban)
      return
    }
    const refuse = faults.hit('refuse', this.target)
    if (refuse !== undefined) throw new Refusal(refuse.status ?? 503, 'service-unavailable')
    const limit = faults.hit('rate_limit', this.target)
    if (limit !== undefined) throw new Refusal(limit.status ?? 429, 'rate-overlimit')
    this.#stallByFault()
  }

  #stallByFault(): void {
    const fault = this.world.faults.hit('stall', this.target)
    if (fault !== undefined) this.stall(fault.id)
  }

  /** Fails the connection as for a banned account: for a while with 402 and an end, or for good. */
  ban(ban: { code?: number; until?: number }): void {
    const left = ban.until === undefined ? undefined : Math.ceil((ban.until - this.world.clock.now()) / 1000)
    const reason = String(ban.code ?? (left === undefined ? 403 : 402))
    const more = left === undefined ? {} : { code: '101', expire: String(left) }
    this.world.stats.count('loginFailures')
    this.end(node('failure', { reason, ...more, location: 'sbx' }))
  }

  #register(payload: proto.IClientPayload, noiseKey: Buffer): void {
    if (this.#phase === 'closed') return
    const companion = readCompanion(payload, noiseKey)
    const lifetimes = this.reception.qrLifetimes ?? QR_LIFETIMES
    this.world.stats.count('registrations')
    this.#registration = new Registration(this.world, this, companion, lifetimes)
    this.#registration.start()
  }

  #logIn(payload: proto.IClientPayload, noiseKey: Buffer): void {
    if (this.#phase === 'closed') return
    const device = identify(this.world, payload, noiseKey)
    this.world.lines.get(device)?.end(REPLACED)
    this.world.lines.set(device, this)
    this.world.stats.loggedIn(device.account.phoneNumber)
    this.#origin = {
      device,
      reply: (stanza) => this.send(stanza),
      end: (last) => this.end(last),
      activate: () => {
        if (device.link === this) return
        if (this.world.faults.hit('grouped_receipts', this.target)) {
          device.pending = groupReceipts(device.pending)
        }
        sendBacklog(device, (stanza) => this.send(stanza))
        device.link = this
      },
    }
    for (const stanza of welcome(this.world, device)) this.send(stanza)
    // A client that does not start passive wants its backlog at once.
    if (!payload.passive) this.#origin.activate()
  }

  send(stanza: BinaryNode): void {
    if (this.#phase !== 'open' || this.#outgoing === null) return
    this.world.stats.count('stanzasOut')
    this.world.log.record('out', this.#who(), stanza)
    const frame = this.#outgoing.seal(writeStanza(stanza), LENGTH_BYTES)
    frame.writeUIntBE(frame.length - LENGTH_BYTES, 0, LENGTH_BYTES)
    this.#write(frame)
  }

  /** Sends a frame whose tag is wrong; the client's and our counters move on alike. */
  sendCorruptFrame(): void {
    if (this.#outgoing === null || this.#phase !== 'open') return
    const frame = this.#outgoing.seal(writeStanza(node('ib')), LENGTH_BYTES)
    frame.writeUIntBE(frame.length - LENGTH_BYTES, 0, LENGTH_BYTES)
    frame.writeUInt8(frame.readUInt8(frame.length - 1) ^ 0xff, frame.length - 1)
    this.#write(frame)
  }

  /** Sends bytes that need not be a stanza, encrypted as one; null = a frame of no length at all. */
  sendBytes(plain: Uint8Array | null): void {
    if (this.#outgoing === null || this.#phase !== 'open') return
    const frame = plain === null ? Buffer.alloc(LENGTH_BYTES) : this.#outgoing.seal(plain, LENGTH_BYTES)
    frame.writeUIntBE(frame.length - LENGTH_BYTES, 0, LENGTH_BYTES)
    this.#write(frame)
  }

  end(last?: BinaryNode): void {
    if (this.#phase === 'closed') return
    if (last !== undefined) this.send(last)
    this.#leave()
    this.wire.close()
    this.#cancelGoodbye = this.world.after(GOODBYE_MS, () => this.wire.terminate())
  }

  cut(): void {
    this.#leave()
    this.wire.terminate()
  }

  /** Goes silent in both directions, without losing anything. */
  stall(by: string): void {
    this.#held ??= { by, out: [], in: [] }
  }

  /** Speaks and listens again, if it was this fault that silenced it. */
  resume(by: string): void {
    const held = this.#held
    if (held?.by !== by) return
    this.#held = null
    for (const frame of held.out) this.wire.send(frame)
    for (const chunk of held.in) this.receive(chunk)
  }

  /** The socket is gone. */
  closed(): void {
    this.#leave()
    this.#cancelGoodbye()
  }

  #leave(): void {
    if (this.#phase === 'closed') return
    this.#phase = 'closed'
    this.#registration?.closed()
    if (this.#origin === null) return
    const { device } = this.#origin
    this.world.stats.loggedOut(device.account.phoneNumber)
    if (this.world.lines.get(device) === this) this.world.lines.delete(device)
    if (device.link !== this) return
    device.link = null
    this.world.presence.forget(device)
  }

  #write(frame: Buffer): void {
    if (this.#held !== null) this.#held.out.push(frame)
    else this.wire.send(frame)
  }

  #who(): { phoneNumber: string; deviceId: number } | null {
    const device = this.#origin?.device
    return device === undefined ? null : { phoneNumber: device.account.phoneNumber, deviceId: device.id }
  }
}
