/** Who is on WhatsApp: accounts by phone number and LID, their devices, and the keys others may fetch. */

import { type Jid, jidOf } from './jid'
import { signedPreKeyFits } from './keys'
import type { Random } from './random'
import { demand } from './refusal'
import type { Account, Device, PendingCompanion, PhoneRegistration } from './types'

/** The bare or device address of an account by phone number. */
export const pnOf = (account: Account, device = 0): string =>
  jidOf(account.phoneNumber, 's.whatsapp.net', device)
/** The bare or device address of an account by LID. */
export const lidOf = (account: Account, device = 0): string => jidOf(account.lid, 'lid', device)
/** An address in the domain asked for. */
export const addressOf = (account: Account, domain: 'lid' | 'pn', device = 0): string =>
  domain === 'lid' ? lidOf(account, device) : pnOf(account, device)

const LID_DIGITS = 15

/** All accounts of one sandbox. A number without a phone has no account, and is "not on WhatsApp". */
export class Directory {
  readonly #byPhone = new Map<string, Account>()
  readonly #byLid = new Map<string, Account>()

  constructor(readonly random: Random) {}

  /** In the order in which their phones were switched on. */
  get accounts(): Iterable<Account> {
    return this.#byPhone.values()
  }

  byPhoneNumber(phoneNumber: string): Account | undefined {
    return this.#byPhone.get(phoneNumber)
  }

  /** The account an address belongs to; the device part is ignored. */
  find(jid: Jid | undefined): Account | undefined {
    if (jid?.server === 'lid') return this.#byLid.get(jid.user)
    return jid?.server === 's.whatsapp.net' || jid?.server === 'c.us'
      ? this.#byPhone.get(jid.user)
      : undefined
  }

  /** The device an address names; without a device part, the phone. */
  device(jid: Jid | undefined): Device | undefined {
    return this.find(jid)?.devices.get(jid?.device ?? 0)
  }

  /** Finds the account behind a number as people type it: some countries have two spellings of one line. */
  lookUp(phoneNumber: string): Account | undefined {
    for (const spelling of [phoneNumber, ...otherSpellings(phoneNumber)]) {
      const account = this.#byPhone.get(spelling)
      if (account !== undefined) return account
    }
    return undefined
  }

  /**
   * Opens an account with its phone; the number must be free, in every spelling of it. Refuses keys that do not belong
   * together.
   */
  register(phone: PhoneRegistration): Account {
    demand(/^\d{5,15}$/.test(phone.phoneNumber), 400, 'bad-phone-number')
    demand(this.lookUp(phone.phoneNumber) === undefined, 409, 'number-taken')
    demand(signedPreKeyFits(phone.identityKey, phone.signedPreKey), 400, 'bad-signature')
    const account: Account = {
      phoneNumber: phone.phoneNumber,
      lid: this.#freeLid(),
      name: phone.name,
      platform: phone.platform,
      devices: new Map(),
      addressing: phone.addressing ?? 'lid',
      nextDeviceId: 1,
      nextKeyIndex: 1,
      keyIndexList: null,
    }
    account.devices.set(0, phoneDevice(account, phone))
    this.#byPhone.set(account.phoneNumber, account)
    this.#byLid.set(account.lid, account)
    return account
  }

  /** Takes in an account that was there before, as it was. */
  adopt(account: Account): void {
    this.#byPhone.set(account.phoneNumber, account)
    this.#byLid.set(account.lid, account)
  }

  /** The same number on a new phone: new keys. Its companions have to be removed with it. */
  reinstall(account: Account, phone: PhoneRegistration): void {
    demand(signedPreKeyFits(phone.identityKey, phone.signedPreKey), 400, 'bad-signature')
    account.devices.set(0, phoneDevice(account, phone))
    account.name = phone.name
    account.keyIndexList = null
  }

  /** The companion with the id that was promised to it in `pair-success`. */
  addCompanion(
    account: Account,
    id: number,
    companion: PendingCompanion,
    identity: { keyIndex: number; deviceIdentity: Buffer },
  ): Device {
    const device: Device = {
      account,
      id,
      keyIndex: identity.keyIndex,
      noiseKey: companion.noiseKey,
      registrationId: companion.registrationId,
      identityKey: companion.identityKey,
      signedPreKey: companion.signedPreKey,
      preKeys: [],
      deviceIdentity: identity.deviceIdentity,
      pending: [],
      link: null,
    }
    account.devices.set(id, device)
    account.nextKeyIndex = Math.max(account.nextKeyIndex, identity.keyIndex + 1)
    return device
  }

  #freeLid(): string {
    for (;;) {
      const digits = (this.random(6).readUIntBE(0, 6) % 10 ** (LID_DIGITS - 1)).toString()
      const lid = `1${digits.padStart(LID_DIGITS - 1, '0')}`
      if (!this.#byLid.has(lid) && !this.#byPhone.has(lid)) return lid
    }
  }
}

const phoneDevice = (account: Account, phone: PhoneRegistration): Device => ({
  account,
  id: 0,
  keyIndex: 0,
  noiseKey: null,
  registrationId: phone.registrationId,
  identityKey: phone.identityKey,
  signedPreKey: phone.signedPreKey,
  preKeys: [...phone.preKeys],
  deviceIdentity: null,
  pending: [],
  link: null,
})

/**
 * Brazil's mobile lines with and without the ninth digit, Mexico's with and without the 1, Argentina's with and without
 * the 9 (field notes A22). The account's own spelling is the one WhatsApp answers with.
 */
export function otherSpellings(phoneNumber: string): string[] {
  return SPELLINGS.flatMap(([shape, other]) =>
    shape.test(phoneNumber) ? [phoneNumber.replace(shape, other)] : [],
  )
}

const SPELLINGS: readonly (readonly [RegExp, string])[] = [
  [/^55(?<area>\d{2})9(?<line>[6-9]\d{7})$/, '55$<area>$<line>'],
  [/^55(?<area>\d{2})(?<line>[6-9]\d{7})$/, '55$<area>9$<line>'],
  [/^521(?<line>\d{10})$/, '52$<line>'],
  [/^52(?<line>\d{10})$/, '521$<line>'],
  [/^549(?<line>\d{10})$/, '54$<line>'],
  [/^54(?<line>\d{10})$/, '549$<line>'],
]
