/**
 * Upstream defect: nobody says no to a forged signature, and honest ones are slow.
 *
 * - `Curve.verify` of Baileys 7.0.0-rc14 reports `true` unless the inner call throws, and `libsignal` 6.0.0 returns
 *   `false` instead of throwing: Noise certificates and the account signature of a pairing are decoration.
 * - `libsignal` skips the signature of a pre-key bundle altogether (`isInit`).
 * - Both use a JavaScript curve: 3.3 ms for each signature made or checked, twice per connect, once per group message.
 * - The handshake checks who signed the leaf certificate, but not that the leaf names the key it just talked to.
 *
 * Repair: the two functions are replaced on the module that everyone shares (`curve25519-js`, a mutable CommonJS
 * object, looked up at each call): `verify` on native Ed25519, throwing when the answer is no; `sign` on the WASM
 * bridge that Baileys ships. Before that a self-test signs and checks across both implementations; when they
 * disagree, the slow originals stay and only the strictness is added.
 *
 * Upstream repaired it when the tests named "upstream: …" of `test/whatsapp/upstream/signatures.test.ts` fail.
 */
import { Curve, generateSignalPubKey, proto, WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { calculateSignature } from 'whatsapp-rust-bridge'
import { verifyXEdDSA } from '../../../lib/xeddsa'

type Bytes = Uint8Array
type CurveJs = {
  sign: (privateKey: Bytes, message: Bytes, random?: Bytes) => Bytes
  verify: (publicKey: Bytes, message: Bytes, signature: Bytes) => boolean
}
type LibsignalCurve = {
  verifySignature: (publicKey: Bytes, message: Bytes, signature: Bytes, isInit?: boolean) => boolean
}

/** CommonJS exports are plain objects; an `import` would only give a frozen view of them. */
const curveJs: CurveJs = require('curve25519-js')
const libsignalCurve: LibsignalCurve = require('libsignal/src/curve.js')

export type SignatureRepair = {
  /** `native` after a passed self-test, else `javascript`: strict, but slow. */
  mode: 'native' | 'javascript'
  /** Puts the originals back. */
  undo(): void
}

export type SignatureOptions = {
  /** Off keeps the JavaScript curve; forged signatures are refused either way. */
  native: boolean
  /** Refuse certificates outside their validity; only WhatsApp's own are known to carry true dates. */
  checkDates: boolean
  /** Milliseconds since the epoch. */
  now: () => number
}

/** Makes every signature check of this process mean what it says; process-wide, call it once before the first socket. */
export function repairSignatures(options: SignatureOptions): SignatureRepair {
  const original = {
    curveJs: { ...curveJs },
    verifySignature: libsignalCurve.verifySignature,
    curve: { ...Curve },
  }
  const native = options.native && implementationsAgree(original.curveJs)
  const sign: CurveJs['sign'] = native
    ? (privateKey, message) => calculateSignature(privateKey, message)
    : original.curveJs.sign
  const isGenuine: CurveJs['verify'] = native ? verifyXEdDSA : original.curveJs.verify

  curveJs.sign = sign
  curveJs.verify = (publicKey, message, signature) => {
    if (!isGenuine(publicKey, message, signature)) throw new Error('Invalid signature')
    return true
  }
  libsignalCurve.verifySignature = (publicKey, message, signature) =>
    original.verifySignature(publicKey, message, signature, false)

  const leaf = leafWatch(options)
  Curve.sharedKey = (privateKey, publicKey) => {
    leaf.sawKey(publicKey)
    return original.curve.sharedKey(privateKey, publicKey)
  }
  Curve.verify = (publicKey, message, signature) => {
    const genuine = refusesNothingMalformed(() =>
      libsignalCurve.verifySignature(
        Buffer.from(generateSignalPubKey(publicKey)),
        Buffer.from(message),
        Buffer.from(signature),
      ),
    )
    return genuine && leaf.accepts(publicKey, message)
  }

  return {
    mode: native ? 'native' : 'javascript',
    undo() {
      Object.assign(curveJs, original.curveJs)
      libsignalCurve.verifySignature = original.verifySignature
      Object.assign(Curve, original.curve)
    },
  }
}

/** Both sign, each checks the other's work, and a changed message is refused by the new one. */
function implementationsAgree(stock: CurveJs): boolean {
  try {
    for (let round = 0; round < 3; round += 1) {
      const pair = Curve.generateKeyPair()
      const message = Buffer.from(`self-test ${round}`)
      const other = Buffer.from(`self-test ${round}!`)
      const ours = calculateSignature(pair.private, message)
      const theirs = stock.sign(pair.private, message)
      const agreed =
        verifyXEdDSA(pair.public, message, ours) &&
        verifyXEdDSA(pair.public, message, theirs) &&
        stock.verify(pair.public, message, ours) &&
        !verifyXEdDSA(pair.public, other, ours) &&
        !verifyXEdDSA(pair.public, other, theirs)
      if (!agreed) return false
    }
    return true
  } catch {
    return false
  }
}

function refusesNothingMalformed(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

/**
 * Ties the leaf certificate to the server. A handshake calls, in one go: `sharedKey(static key)`, `verify(leaf)`,
 * `verify(intermediate)` with the root key; at the last of these the first two are the ones just seen.
 */
function leafWatch(options: SignatureOptions) {
  let lastKey: Bytes = Buffer.alloc(0)
  let lastMessage: Bytes = Buffer.alloc(0)
  return {
    sawKey(key: Bytes) {
      lastKey = key
    },
    accepts(publicKey: Bytes, message: Bytes): boolean {
      const leaf = lastMessage
      lastMessage = message
      if (publicKey !== WA_CERT_DETAILS.PUBLIC_KEY) return true
      const details = [leaf, message].map((bytes) => proto.CertChain.NoiseCertificate.Details.decode(bytes))
      const namesTheServer = Buffer.from(details[0]?.key ?? []).equals(Buffer.from(lastKey))
      return (
        namesTheServer && (!options.checkDates || details.every((part) => isCurrent(part, options.now())))
      )
    },
  }
}

type Dates = {
  notBefore?: number | { toNumber(): number } | null
  notAfter?: number | { toNumber(): number } | null
}

function isCurrent(certificate: Dates, now: number): boolean {
  const seconds = (value: Dates['notBefore']) =>
    typeof value === 'object' && value ? value.toNumber() : (value ?? 0)
  const from = seconds(certificate.notBefore)
  const until = seconds(certificate.notAfter)
  return now / 1000 >= from && (until === 0 || now / 1000 <= until)
}
