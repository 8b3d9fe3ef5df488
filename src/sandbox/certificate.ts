/**
 * The certificate chain a client checks during the handshake (wire notes §3): the root signs an intermediate, the
 * intermediate signs a leaf, and the leaf's key is the server's static Noise key.
 */
import { proto } from '@whiskeysockets/baileys'
import { sign } from './adv'
import type { KeyPair } from './noise'

const VALID_FOR_SECONDS = 10 * 365 * 24 * 60 * 60

/** Signs and encodes the chain; `now` in seconds. The root's serial is 0, as clients expect of the issuer. */
export function certificateChain(root: KeyPair, intermediate: KeyPair, leafKey: Buffer, now: number): Buffer {
  const period = { notBefore: now - 24 * 60 * 60, notAfter: now + VALID_FOR_SECONDS }
  const issue = (issuer: KeyPair, serial: number, issuerSerial: number, key: Buffer) => {
    const details = proto.CertChain.NoiseCertificate.Details.encode({
      serial,
      issuerSerial,
      key,
      ...period,
    }).finish()
    return { details, signature: sign(issuer.private, details) }
  }
  const chain = {
    intermediate: issue(root, 1, 0, intermediate.public),
    leaf: issue(intermediate, 2, 1, leafKey),
  }
  return Buffer.from(proto.CertChain.encode(chain).finish())
}
