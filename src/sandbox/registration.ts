/**
 * A companion that is not linked yet (wire notes §4): it gets six refs to show, one after the other, and waits for a
 * phone to grant it a place in an account. It may ask for a pairing code meanwhile.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { accountSigned, completeIdentity, openGrant } from './adv'
import { announce } from './devices'
import { lidOf, pnOf } from './directory'
import type { FaultTarget } from './faults'
import { signedPreKeyFits } from './keys'
import { bytesOf, child, node, readNumber, result, SERVER } from './node'
import { handlePairingCode } from './pairing-code'
import { demand, LinkRefused, Refusal } from './refusal'
import type { Account, Device, PendingCompanion } from './types'
import type { World } from './world'

/** Life of the six refs in milliseconds: the first is shown for a minute, the others for 20 seconds each. */
export const QR_LIFETIMES: readonly number[] = [60_000, 20_000, 20_000, 20_000, 20_000, 20_000]

/** A client closes by itself when its refs are used up; after this the server does. */
const GRACE_MS = 2_000
const ANSWER_TIMEOUT_MS = 20_000
/** After pairing, clients are told to restart; the server closes when they do not. */
const RESTART: BinaryNode = node('stream:error', { code: '515' })

/** The connection a registration talks through. */
export type RegistrationLine = {
  readonly target: FaultTarget
  send(stanza: BinaryNode): void
  end(last?: BinaryNode): void
}

/** Reads the keys a companion registers with; refuses what does not belong together. */
export function readCompanion(payload: proto.IClientPayload, noiseKey: Buffer): PendingCompanion {
  const data = payload.devicePairingData
  const part = (bytes: Uint8Array | null | undefined, size: number) => {
    demand(bytes?.length === size, 400, 'bad-pairing-data')
    return Buffer.from(bytes)
  }
  const identityKey = part(data?.eIdent, 32)
  const signedPreKey = {
    id: readNumber(part(data?.eSkeyId, 3)),
    publicKey: part(data?.eSkeyVal, 32),
    signature: part(data?.eSkeySig, 64),
  }
  demand(part(data?.eKeytype, 1).readUInt8(0) === 5, 400, 'bad-key-type')
  part(data?.buildHash, 16)
  demand(signedPreKeyFits(identityKey, signedPreKey), 400, 'bad-signature')
  return {
    refs: [],
    noiseKey,
    identityKey,
    registrationId: readNumber(part(data?.eRegid, 4)),
    signedPreKey,
    platformName: platformName(data?.deviceProps),
  }
}

function platformName(deviceProps: Uint8Array | null | undefined): string {
  demand(deviceProps !== null && deviceProps !== undefined, 400, 'bad-pairing-data')
  const props = proto.DeviceProps.decode(deviceProps)
  const type = proto.DeviceProps.PlatformType[props.platformType ?? 0] ?? 'UNKNOWN'
  return `${type} (${props.os ?? ''})`
}

type Answer = { id: string; settle: (answer: BinaryNode | Error) => void }

/** One waiting companion. */
export class Registration {
  readonly #started: number
  readonly #cancelExpiry: () => void
  #answer: Answer | null = null
  #passkey = false
  #closed = false

  /** The ref of a running pairing-code dialog and the account it is for. */
  code: { ref: string; account: Account; answered: boolean } | null = null

  constructor(
    readonly world: World,
    readonly line: RegistrationLine,
    readonly companion: PendingCompanion,
    readonly lifetimes: readonly number[],
  ) {
    this.#started = world.clock.monotonic()
    for (const _ of lifetimes) companion.refs.push(`2@${world.random(48).toString('base64')}`)
    const total = lifetimes.reduce((sum, each) => sum + each, 0)
    this.#cancelExpiry = world.after(total + GRACE_MS, () => line.end(node('xmlstreamend')))
    world.registrations.add(this)
  }

  /** Sends the refs, and what standing faults want said first. */
  start(): void {
    const refs = this.companion.refs.map((ref) => node('ref', {}, ref))
    const attrs = { from: SERVER, type: 'set', xmlns: 'md', id: this.world.nextId() }
    this.line.send(node('iq', attrs, [node('pair-device', {}, refs)]))
    if (this.world.faults.hit('pair_refresh', this.line.target)) this.refresh()
    if (this.world.faults.hit('passkey', this.line.target)) this.askPasskey()
  }

  /** Whether the companion may be linked by this ref now. */
  shows(ref: string): boolean {
    if (this.#closed) return false
    if (this.code?.ref === ref) return true
    const at = this.companion.refs.indexOf(ref)
    if (at === -1) return false
    const expires = this.lifetimes.slice(0, at + 1).reduce((sum, each) => sum + each, 0)
    return this.world.clock.monotonic() - this.#started < expires
  }

  /** Retires the companion's pairing secret: codes on screen are dead until it makes a new one (field notes A1). */
  refresh(): void {
    this.notify('companion_reg_refresh', [node('companion_reg_refresh')])
  }

  /** Asks for a passkey first. The companion cannot be linked on this connection any more (field notes A1). */
  askPasskey(): void {
    this.#passkey = true
    this.notify('passkey_prologue_request', [node('passkey_prologue_request')])
  }

  notify(type: string, content: BinaryNode[]): void {
    const attrs = { from: SERVER, type, id: this.world.nextId(), t: this.world.seconds() }
    this.line.send(node('notification', attrs, content))
  }

  /** What the unregistered companion says. Anything but pairing and pings is not for it to ask. */
  receive(stanza: BinaryNode): void {
    if (stanza.tag !== 'iq') return
    const { id, type, xmlns } = stanza.attrs
    if (type === 'result' || type === 'error') {
      if (this.#answer !== null && this.#answer.id === id) this.#answer.settle(stanza)
      return
    }
    try {
      if (xmlns === 'w:p') this.line.send(result(stanza))
      else if (xmlns === 'md') this.line.send(handlePairingCode(this, stanza))
      else throw new Refusal(401, 'not-authorized')
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const attrs = { from: SERVER, type: 'error', id }
      this.line.send(node('iq', attrs, [node('error', { code: String(error.code), text: error.text })]))
    }
  }

  /**
   * Brings the phone's grant to the companion and checks what it signs in return. Resolves with the new device, after
   * which the companion is told to restart; rejects with `LinkRefused`.
   */
  async link(account: Account, grant: { deviceIdentity: Buffer; keyIndex: number }): Promise<Device> {
    if (this.#passkey) throw new LinkRefused('The companion was asked for a passkey')
    if (this.#answer !== null) throw new LinkRefused('The companion is being linked already')
    const signed = checkGrant(account, this.companion, grant)

    const id = account.nextDeviceId++
    const answer = await this.#offer(account, id, grant.deviceIdentity)
    const identity = child(child(answer, 'pair-device-sign'), 'device-identity')
    const complete = completed(signed, bytesOf(identity), this.companion.identityKey)
    if (complete === null || identity?.attrs['key-index'] !== String(grant.keyIndex)) {
      this.line.end(node('stream:error', { code: '400' }))
      throw new LinkRefused('The companion did not sign the grant')
    }

    const { keyIndex } = grant
    const device = this.world.directory.addCompanion(account, id, this.companion, {
      keyIndex,
      deviceIdentity: complete,
    })
    this.world.stats.count('pairings')
    announce(this.world, 'add', device)
    this.line.end(RESTART)
    return device
  }

  async #offer(account: Account, id: number, deviceIdentity: Buffer): Promise<BinaryNode> {
    const requestId = this.world.nextId()
    const { promise, resolve, reject } = Promise.withResolvers<BinaryNode>()
    const cancel = this.world.after(ANSWER_TIMEOUT_MS, () =>
      this.#answer?.settle(new LinkRefused('The companion did not answer')),
    )
    const settle = (answer: BinaryNode | Error) => {
      cancel()
      this.#answer = null
      if (answer instanceof Error) reject(answer)
      else if (answer.attrs.type === 'error') reject(new LinkRefused('The companion refused the grant'))
      else resolve(answer)
    }
    this.#answer = { id: requestId, settle }

    const business = account.platform.startsWith('smb') ? [node('biz', { name: account.name })] : []
    this.line.send(
      node('iq', { from: SERVER, type: 'set', xmlns: 'md', id: requestId, t: this.world.seconds() }, [
        node('pair-success', {}, [
          node('device-identity', {}, deviceIdentity),
          ...business,
          node('platform', { name: account.platform }),
          node('device', { jid: pnOf(account, id), lid: lidOf(account, id) }),
        ]),
      ]),
    )
    return await promise
  }

  /** The connection is gone. */
  closed(): void {
    this.#closed = true
    this.#cancelExpiry()
    this.world.registrations.delete(this)
    this.#answer?.settle(new LinkRefused('The companion went away'))
  }
}

/** The full identity that grant and answer make together; null when the answer is no answer to this grant. */
function completed(signed: Buffer, answer: Buffer | undefined, companionIdentity: Buffer): Buffer | null {
  try {
    return completeIdentity(signed, answer ?? Buffer.alloc(0), companionIdentity)
  } catch {
    // Bytes that do not decode were signed by nobody.
    return null
  }
}

/** The signed part of a grant that this account's phone made for this companion; refuses any other. */
function checkGrant(
  account: Account,
  companion: PendingCompanion,
  grant: { deviceIdentity: Buffer; keyIndex: number },
): Buffer {
  const { signed, keyIndex, accountKey } = readGrant(grant.deviceIdentity)
  const phone = account.devices.get(0)
  if (phone === undefined || !accountKey.equals(phone.identityKey))
    throw new LinkRefused('Not this phone’s key')
  if (keyIndex !== grant.keyIndex || keyIndex < 1) throw new LinkRefused('Not the key index that was signed')
  if ([...account.devices.values()].some((device) => device.keyIndex === keyIndex)) {
    throw new LinkRefused('This key index is taken')
  }
  if (!accountSigned(signed, companion.identityKey)) throw new LinkRefused('Wrong account signature')
  return signed
}

function readGrant(bytes: Buffer) {
  try {
    return openGrant(bytes)
  } catch (cause) {
    throw new LinkRefused('This is no grant', { cause })
  }
}
