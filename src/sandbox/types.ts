/**
 * The sandbox's own nouns: accounts, devices and the two kinds of link a device can have.
 * A companion's link is a WebSocket with Noise; a phone's link is a pair of functions in this process.
 * Both carry the same stanzas and pass the same checks.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'

/** A one-time or signed pre-key as the server stores it; public halves only. */
export type PublicPreKey = { id: number; publicKey: Buffer }

/** What the server knows of a device; private keys never leave the device. */
export type Device = {
  account: Account
  /** 0 is the phone; companions count from 1 and a number is never used twice. */
  id: number
  /** Place in the account's signed key-index list; 0 for the phone. */
  keyIndex: number
  /** The companion's permanent Noise key, compared at login; null for the phone. */
  noiseKey: Buffer | null
  registrationId: number
  /** 32 bytes, without the type byte. */
  identityKey: Buffer
  signedPreKey: PublicPreKey & { signature: Buffer }
  /** Unused one-time pre-keys, oldest first; each is handed out once. */
  preKeys: PublicPreKey[]
  /** The full ADVSignedDeviceIdentity (with signature key) that contacts receive beside a first message. */
  deviceIdentity: Buffer | null
  /** Stanzas the device has not confirmed yet, oldest first. */
  pending: BinaryNode[]
  link: DeviceLink | null
}

/** A phone number with its devices. */
export type Account = {
  /** Digits only. */
  phoneNumber: string
  /** Digits of the LID, without the domain. */
  lid: string
  name: string
  /** As WhatsApp reports it: `android`, `iphone`, `smba`, … */
  platform: string
  devices: Map<number, Device>
  /** How the account's devices see others in 1:1 chats: by LID (today's accounts) or by phone number. */
  addressing: 'lid' | 'pn'
  /** Never reused, so that a removed companion cannot be mistaken for a new one. */
  nextDeviceId: number
  nextKeyIndex: number
  /** The phone's signed list of valid key indexes, with its time stamp in seconds. */
  keyIndexList: { signed: Buffer; at: number } | null
}

/** How the server reaches a device that is online. */
export interface DeviceLink {
  send(node: BinaryNode): void
  /** Sends a last stanza, if any, and cuts the link. */
  end(last?: BinaryNode): void
}

/** A companion that has connected, got its refs and waits for a phone (by QR or by code). */
export type PendingCompanion = {
  refs: string[]
  noiseKey: Buffer
  identityKey: Buffer
  registrationId: number
  signedPreKey: PublicPreKey & { signature: Buffer }
  platformName: string
}

/** What a phone brings when it is switched on for the first time. */
export type PhoneRegistration = {
  phoneNumber: string
  name: string
  platform: string
  /** Default `lid`. */
  addressing?: 'lid' | 'pn'
  registrationId: number
  identityKey: Buffer
  signedPreKey: PublicPreKey & { signature: Buffer }
  preKeys: PublicPreKey[]
}

/** A phone's line to the server: the same stanzas as a companion, plus what only a primary device may do. */
export interface PhoneUplink {
  readonly account: Account
  /** Passes the same checks as a companion's frame; a refusal comes back as a stanza, as it would on the wire. */
  send(node: BinaryNode): void
  /** Sends an `iq` and resolves with the answer; rejects on `type=error`. */
  query(node: BinaryNode): Promise<BinaryNode>
  /** The companion that shows this ref, or null when the ref is unknown, spent or expired. */
  companionOf(ref: string): PendingCompanion | null
  /** The account's next free key index for a companion. */
  nextKeyIndex(): number
  /**
   * Hands the server the signed grant for the companion that shows `ref`: an encoded ADVSignedDeviceIdentityHMAC
   * and the key index it names. Resolves when the companion has answered with a valid device signature; rejects with
   * a `LinkRefused` otherwise.
   */
  link(ref: string, grant: { deviceIdentity: Buffer; keyIndex: number }): Promise<Device>
  /** Removes a companion; it hears `device_removed`, contacts hear of it. */
  unlink(deviceId: number): void
}
