/** A server alone, with phones and clients that speak the protocol by hand: no Signal, no Baileys, every byte at will. */
import { createHash, randomBytes } from 'node:crypto'
import { type BinaryNode, encodeBinaryNode, proto } from '@whiskeysockets/baileys'
import { countersign, openGrant, sign, signGrant } from '../../../src/sandbox/adv'
import { child, children, node, SERVER, writeNumber } from '../../../src/sandbox/node'
import {
  createSandboxServer,
  type SandboxServer,
  type SandboxServerOptions,
} from '../../../src/sandbox/server'
import type { Device, PhoneUplink } from '../../../src/sandbox/types'
import { readStanza } from '../../../src/sandbox/wire'
import { Initiator, makePair, type Pair } from './initiator'

export const HEADER = Buffer.from('WA\x06\x03', 'latin1')
export const VERSION = [2, 3000, 1043857760] as const
const KEY_TYPE = Buffer.from([5])

export type DeviceKeys = { identity: Pair; registrationId: number; signedPreKey: SignedKey }
export type SignedKey = { id: number; pair: Pair; signature: Buffer }

export function makeSignedKey(identity: Pair, id: number): SignedKey {
  const pair = makePair()
  return { id, pair, signature: sign(identity.private, Buffer.concat([KEY_TYPE, pair.public])) }
}

export function makeKeys(): DeviceKeys {
  const identity = makePair()
  return { identity, registrationId: 4711, signedPreKey: makeSignedKey(identity, 1) }
}

/** What a queue of stanzas is waited on with. */
class Inbox {
  readonly all: BinaryNode[] = []
  #waiting: { fits: (stanza: BinaryNode) => boolean; take: (stanza: BinaryNode) => void }[] = []
  #unread: BinaryNode[] = []

  push(stanza: BinaryNode) {
    this.all.push(stanza)
    const at = this.#waiting.findIndex(({ fits }) => fits(stanza))
    if (at === -1) this.#unread.push(stanza)
    else this.#waiting.splice(at, 1)[0]?.take(stanza)
  }

  /** The first stanza that fits and was not taken yet, arrived already or yet to come. */
  async take(fits: (stanza: BinaryNode) => boolean): Promise<BinaryNode> {
    const at = this.#unread.findIndex(fits)
    const [found] = at === -1 ? [] : this.#unread.splice(at, 1)
    if (found !== undefined) return found
    const { promise, resolve } = Promise.withResolvers<BinaryNode>()
    this.#waiting.push({ fits, take: resolve })
    return await promise
  }

  /** What arrived and was not taken. */
  unread(tag?: string) {
    return this.#unread.filter((stanza) => tag === undefined || stanza.tag === tag)
  }
}

export const tagged =
  (tag: string, attrs: Record<string, string> = {}) =>
  (stanza: BinaryNode) =>
    stanza.tag === tag && Object.entries(attrs).every(([key, value]) => stanza.attrs[key] === value)

export type ConnectOptions = {
  header?: Buffer
  routing?: Buffer
  /** Sends the stream in pieces of this many bytes. */
  piece?: number
  noise?: Pair
}

/** A client by hand: one WebSocket. */
export class Wire {
  readonly inbox = new Inbox()
  readonly closed: Promise<number>
  readonly #socket: WebSocket
  readonly #open: Promise<void>
  #rest = Buffer.alloc(0)
  #frames: Buffer[] = []
  #onFrame: ((frame: Buffer) => void) | null = null
  #ciphers: ReturnType<Initiator['finish']> | null = null
  #ids = 0

  constructor(
    readonly server: SandboxServer,
    readonly options: ConnectOptions = {},
  ) {
    this.#socket = new WebSocket(server.url)
    this.#socket.binaryType = 'nodebuffer'
    this.#open = new Promise((resolve, reject) => {
      this.#socket.onopen = () => resolve()
      this.#socket.onerror = () => reject(new Error('refused'))
    })
    this.closed = new Promise((resolve) => {
      this.#socket.onclose = ({ code }) => resolve(code)
    })
    this.#socket.onmessage = ({ data }) => this.#receive(data as Buffer)
  }

  #receive(data: Buffer) {
    this.#rest = Buffer.concat([this.#rest, data])
    while (this.#rest.length >= 3) {
      const end = 3 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) return
      const frame = this.#rest.subarray(3, end)
      this.#rest = this.#rest.subarray(end)
      if (this.#ciphers !== null) this.#openFrame(frame)
      else if (this.#onFrame !== null) this.#onFrame(frame)
      else this.#frames.push(frame)
    }
  }

  #openFrame(frame: Buffer) {
    let plain: Buffer
    try {
      plain = this.#ciphers?.in.decrypt(frame) ?? frame
    } catch (error) {
      this.onBroken(error)
      return
    }
    this.inbox.push(readStanza(plain))
  }

  /** Called with a frame's failure to decrypt. */
  onBroken: (error: unknown) => void = (error) => {
    throw error
  }

  async #nextFrame(): Promise<Buffer> {
    const frame = this.#frames.shift()
    if (frame !== undefined) return frame
    return await new Promise((resolve) => {
      this.#onFrame = (next) => {
        this.#onFrame = null
        resolve(next)
      }
    })
  }

  /** Sends bytes as they are, in one message or in pieces. */
  raw(bytes: Buffer) {
    const { piece = bytes.length } = this.options
    for (let at = 0; at < bytes.length; at += piece) this.#socket.send(bytes.subarray(at, at + piece))
  }

  frame(body: Uint8Array, before: Uint8Array = Buffer.alloc(0)) {
    const length = Buffer.alloc(3)
    length.writeUIntBE(body.length, 0, 3)
    this.raw(Buffer.concat([before, length, body]))
  }

  /** Shakes hands and sends the payload. */
  async handshake(payload: proto.IClientPayload, noise: Pair): Promise<void> {
    await this.#open
    const initiator = new Initiator(HEADER)
    const { header = HEADER, routing } = this.options
    const size = Buffer.alloc(3)
    size.writeUIntBE(routing?.length ?? 0, 0, 3)
    const intro =
      routing === undefined ? header : Buffer.concat([Buffer.from('ED\0\x01'), size, routing, header])
    this.frame(initiator.hello(), intro)
    const root = Buffer.from(this.server.rootPublicKey, 'hex')
    const encoded = proto.ClientPayload.encode(proto.ClientPayload.fromObject(payload)).finish()
    const answer = await this.#nextFrame()
    const now = Math.floor(this.server.world.clock.now() / 1000)
    const finish = initiator.finish(answer, noise, encoded, { root, now })
    this.#ciphers = finish
    this.frame(finish.message)
  }

  async opened() {
    await this.#open
  }

  send(stanza: BinaryNode) {
    this.sendPlain(encodeBinaryNode(stanza))
  }

  /** Encrypts anything, stanza or not. */
  sendPlain(plain: Uint8Array) {
    if (this.#ciphers === null) throw new Error('no handshake yet')
    this.frame(this.#ciphers.out.encrypt(plain))
  }

  async take(tag: string, attrs: Record<string, string> = {}) {
    return await this.inbox.take(tagged(tag, attrs))
  }

  async query(
    xmlns: string,
    type: string,
    content: BinaryNode[],
    attrs: Record<string, string> = {},
  ): Promise<BinaryNode> {
    const id = `q${++this.#ids}`
    this.send(node('iq', { id, xmlns, type, to: SERVER, ...attrs }, content))
    return await this.take('iq', { id })
  }

  /** Waits until everything sent so far has been dealt with. */
  async settled() {
    await this.query('w:p', 'get', [node('ping')])
  }

  drop() {
    this.#socket.terminate()
  }

  close() {
    this.#socket.close()
  }
}

/** The code of an error answer, or `result`. */
export const outcome = (answer: BinaryNode): string =>
  answer.attrs.type === 'error'
    ? (child(answer, 'error')?.attrs.code ?? 'error')
    : (answer.attrs.error ?? answer.attrs.type ?? answer.tag)

const userAgent = {
  appVersion: { primary: VERSION[0], secondary: VERSION[1], tertiary: VERSION[2] },
  platform: proto.ClientPayload.UserAgent.Platform.WEB,
}

/** A companion with keys of its own, linked or not. */
export class Companion {
  readonly noise = makePair()
  readonly keys = makeKeys()
  device: Device | null = null

  constructor(readonly lab: Lab) {}

  get server() {
    return this.lab.server
  }

  registration(
    changes: Partial<proto.ClientPayload.IDevicePairingRegistrationData> = {},
  ): proto.IClientPayload {
    const { identity, registrationId, signedPreKey } = this.keys
    return {
      passive: false,
      pull: false,
      userAgent,
      devicePairingData: {
        buildHash: createHash('md5').update(VERSION.join('.')).digest(),
        deviceProps: proto.DeviceProps.encode({ os: 'Lab', platformType: 1 }).finish(),
        eRegid: writeNumber(registrationId, 4),
        eKeytype: KEY_TYPE,
        eIdent: identity.public,
        eSkeyId: writeNumber(signedPreKey.id, 3),
        eSkeyVal: signedPreKey.pair.public,
        eSkeySig: signedPreKey.signature,
        ...changes,
      },
    }
  }

  /** Connects unlinked; resolves with the refs to show. */
  async register(options: ConnectOptions = {}, changes = {}): Promise<{ wire: Wire; refs: string[] }> {
    const wire = new Wire(this.server, options)
    await wire.handshake(this.registration(changes), options.noise ?? this.noise)
    const pair = await wire.take('iq', { type: 'set' })
    wire.send(node('iq', { id: pair.attrs.id, type: 'result', to: SERVER }))
    const refs = children(child(pair, 'pair-device'), 'ref').map(({ content }) => String(content))
    return { wire, refs }
  }

  /** Answers the grant that is on its way on this wire. */
  async countersign(wire: Wire, change: (answer: Buffer) => Buffer = (answer) => answer, keyIndex?: number) {
    const offer = await wire.inbox.take((stanza) => child(stanza, 'pair-success') !== undefined)
    const grant = child(child(offer, 'pair-success'), 'device-identity')?.content
    const opened = openGrant(grant as Uint8Array)
    const answer = change(countersign(opened.signed, this.keys.identity))
    const identity = node('device-identity', { 'key-index': String(keyIndex ?? opened.keyIndex) }, answer)
    const content = [node('pair-device-sign', {}, [identity])]
    wire.send(node('iq', { id: offer.attrs.id, type: 'result', to: SERVER }, content))
    return offer
  }

  /** Links to a phone, as by QR; the connection it was done on is over then. */
  async pair(phone: LabPhone): Promise<this> {
    const { wire, refs } = await this.register()
    const linked = phone.link(refs[0] ?? '', this)
    await this.countersign(wire)
    this.device = await linked
    await wire.take('stream:error', { code: '515' })
    wire.close()
    await wire.closed
    return this
  }

  loginPayload(changes: proto.IClientPayload = {}): proto.IClientPayload {
    const { device } = this
    return {
      passive: true,
      pull: true,
      userAgent,
      username: Number(device?.account.phoneNumber ?? 0),
      device: device?.id ?? 0,
      ...changes,
    }
  }

  /** Logs in and waits for the first word: `success` or `failure`. */
  async login(
    changes: proto.IClientPayload = {},
    options: ConnectOptions = {},
  ): Promise<{ wire: Wire; first: BinaryNode }> {
    const wire = new Wire(this.server, options)
    await wire.handshake(this.loginPayload(changes), options.noise ?? this.noise)
    const first = await wire.inbox.take(({ tag }) => tag === 'success' || tag === 'failure')
    return { wire, first }
  }

  /** Logs in and calls itself active; resolves when the backlog has been told. */
  async online(): Promise<Wire> {
    const { wire } = await this.login()
    await wire.query('passive', 'set', [node('active')])
    await wire.inbox.take((stanza) => child(stanza, 'offline') !== undefined)
    return wire
  }

  /** The address of this device, in one domain or the other. */
  jid(domain: 'pn' | 'lid' = 'pn') {
    const { device } = this
    if (device === null) throw new Error('not linked')
    const { account, id } = device
    return domain === 'lid' ? `${account.lid}:${id}@lid` : `${account.phoneNumber}:${id}@s.whatsapp.net`
  }

  uploadOf(
    first: number,
    count: number,
    changes: { identity?: Buffer; skey?: SignedKey; registrationId?: number } = {},
  ) {
    const keys = Array.from({ length: count }, (_, at) => preKeyNode(first + at))
    return [
      node('registration', {}, writeNumber(changes.registrationId ?? this.keys.registrationId, 4)),
      node('type', {}, KEY_TYPE),
      node('identity', {}, changes.identity ?? this.keys.identity.public),
      node('list', {}, keys),
      skeyNode(changes.skey ?? this.keys.signedPreKey),
    ]
  }
}

export const preKeyNode = (id: number, size = 32) =>
  node('key', {}, [node('id', {}, writeNumber(id, 3)), node('value', {}, randomBytes(size))])

export const skeyNode = ({ id, pair, signature }: SignedKey) =>
  node('skey', {}, [
    node('id', {}, writeNumber(id, 3)),
    node('value', {}, pair.public),
    node('signature', {}, signature),
  ])

/** A primary device by hand. */
export class LabPhone {
  readonly inbox = new Inbox()
  readonly uplink: PhoneUplink
  readonly keys: DeviceKeys

  constructor(
    readonly lab: Lab,
    readonly phoneNumber: string,
    options: { addressing?: 'lid' | 'pn'; preKeys?: number; keys?: DeviceKeys; platform?: string } = {},
  ) {
    this.keys = options.keys ?? makeKeys()
    const { identity, registrationId, signedPreKey } = this.keys
    const { id, pair, signature } = signedPreKey
    const registration = {
      phoneNumber,
      name: `Owner of ${phoneNumber}`,
      platform: options.platform ?? 'android',
      registrationId,
      identityKey: identity.public,
      signedPreKey: { id, publicKey: pair.public, signature },
      preKeys: Array.from({ length: options.preKeys ?? 20 }, (_, at) => ({
        id: at + 1,
        publicKey: makePair().public,
      })),
      ...(options.addressing && { addressing: options.addressing }),
    }
    this.uplink = lab.server.attachPhone(registration, (stanza) => this.inbox.push(stanza))
  }

  get account() {
    return this.uplink.account
  }
  get jid() {
    return `${this.phoneNumber}@s.whatsapp.net`
  }
  get lid() {
    return `${this.account.lid}@lid`
  }

  grantFor(companion: Companion, keyIndex = this.uplink.nextKeyIndex(), signer: Pair = this.keys.identity) {
    return signGrant({
      primary: signer,
      companionIdentity: companion.keys.identity.public,
      advSecret: Buffer.alloc(32, 7),
      rawId: 1,
      keyIndex,
      timestamp: Math.floor(Date.now() / 1000),
    })
  }

  async link(ref: string, companion: Companion): Promise<Device> {
    const keyIndex = this.uplink.nextKeyIndex()
    return await this.uplink.link(ref, { deviceIdentity: this.grantFor(companion, keyIndex), keyIndex })
  }
}

export type Lab = {
  server: SandboxServer
  phone(phoneNumber: string, options?: ConstructorParameters<typeof LabPhone>[2]): LabPhone
  companion(): Companion
  /** A phone with one linked companion. */
  linked(
    phoneNumber: string,
    options?: ConstructorParameters<typeof LabPhone>[2],
  ): Promise<{ phone: LabPhone; companion: Companion }>
  stop(): Promise<void>
}

export async function startLab(options: SandboxServerOptions = {}): Promise<Lab> {
  const server = createSandboxServer(options)
  await server.start()
  const lab: Lab = {
    server,
    phone: (phoneNumber, phone) => new LabPhone(lab, phoneNumber, phone),
    companion: () => new Companion(lab),
    async linked(phoneNumber, settings) {
      const phone = lab.phone(phoneNumber, settings)
      return { phone, companion: await lab.companion().pair(phone) }
    },
    stop: () => server.stop(),
  }
  return lab
}

/** `<enc>` around bytes that mean nothing to anybody. */
export const enc = (type: string, attrs: Record<string, string> = {}) =>
  node('enc', { v: '2', type, ...attrs }, randomBytes(48))

export const to = (jid: string, ...encs: BinaryNode[]) =>
  node('to', { jid }, encs.length > 0 ? encs : [enc('msg')])

/** A 1:1 or group message. */
export const message = (
  id: string,
  recipient: string,
  participants: BinaryNode[],
  more: BinaryNode[] = [],
  attrs: Record<string, string | undefined> = {},
) =>
  node('message', { id, to: recipient, type: 'text', ...attrs }, [
    ...(participants.length > 0 ? [node('participants', {}, participants)] : []),
    ...more,
  ])
