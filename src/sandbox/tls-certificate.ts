/**
 * A certificate authority for one host, made on the spot: just enough X.509 (RFC 5280) in DER to let a client that
 * trusts the authority talk TLS to the sandbox's media host. No file, no external program.
 */
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

export type HostCertificate = {
  /** The authority's certificate: what clients must trust. */
  caPem: string
  /** The host's certificate and private key. */
  certPem: string
  keyPem: string
}

const DAY = 24 * 60 * 60 * 1000

/** Issues a certificate for `host` (a name or an IPv4 address) under a new authority of this name, valid for ten years. */
export function issueHostCertificate(
  host: string,
  now: number,
  authorityName = 'Wabun sandbox',
): HostCertificate {
  const authority = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const leaf = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const validity = sequence(time(now - DAY), time(now + 3650 * DAY))
  const issuer = commonName(authorityName)
  const ca = certificate({
    issuer,
    subject: issuer,
    validity,
    publicKey: authority.publicKey,
    signer: authority.privateKey,
    extensions: [
      extension(OID.basicConstraints, true, sequence(boolean(true))),
      extension(OID.keyUsage, true, bits(Buffer.from([0x06]), 1)),
    ],
  })
  const cert = certificate({
    issuer,
    subject: commonName(host),
    validity,
    publicKey: leaf.publicKey,
    signer: authority.privateKey,
    extensions: [
      extension(OID.basicConstraints, true, sequence()),
      extension(OID.keyUsage, true, bits(Buffer.from([0x80]), 7)),
      extension(OID.extendedKeyUsage, false, sequence(oid(OID.serverAuth))),
      extension(OID.subjectAltName, false, sequence(alternativeName(host))),
    ],
  })
  return {
    caPem: pem('CERTIFICATE', ca),
    certPem: pem('CERTIFICATE', cert),
    keyPem: leaf.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

type Issue = {
  issuer: Buffer
  subject: Buffer
  validity: Buffer
  publicKey: KeyObject
  signer: KeyObject
  extensions: Buffer[]
}

function certificate(issue: Issue): Buffer {
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    // A serial number is positive: its first byte must not have the high bit set.
    integer(Buffer.concat([Buffer.from([0x42]), randomBytes(15)])),
    algorithm,
    issue.issuer,
    issue.validity,
    issue.subject,
    issue.publicKey.export({ type: 'spki', format: 'der' }),
    tagged(0xa3, sequence(...issue.extensions)),
  )
  return sequence(body, algorithm, bits(sign('sha256', body, issue.signer), 0))
}

const OID = {
  commonName: '550403',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
  subjectAltName: '551d11',
  serverAuth: '2b06010505070301',
  ecdsaWithSha256: '2a8648ce3d040302',
} as const

function tagged(tag: number, content: Buffer): Buffer {
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content])
  const size = content.length < 0x100 ? 1 : content.length < 0x10000 ? 2 : 3
  const length = Buffer.alloc(size)
  length.writeUIntBE(content.length, 0, size)
  return Buffer.concat([Buffer.from([tag, 0x80 | size]), length, content])
}

const sequence = (...parts: Buffer[]) => tagged(0x30, Buffer.concat(parts))
const integer = (bytes: Buffer) => tagged(0x02, bytes)
const boolean = (value: boolean) => tagged(0x01, Buffer.from([value ? 0xff : 0]))
const bits = (bytes: Buffer, unused: number) => tagged(0x03, Buffer.concat([Buffer.from([unused]), bytes]))
const oid = (hex: string) => tagged(0x06, Buffer.from(hex, 'hex'))
const extension = (id: string, critical: boolean, value: Buffer) =>
  sequence(oid(id), ...(critical ? [boolean(true)] : []), tagged(0x04, value))
const commonName = (name: string) =>
  sequence(tagged(0x31, sequence(oid(OID.commonName), tagged(0x0c, Buffer.from(name)))))

/** GeneralizedTime serves beyond 2049, but RFC 5280 wants UTCTime until then. */
function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/[-:T]|\.\d+/g, '')
  return Number(digits.slice(0, 4)) < 2050
    ? tagged(0x17, Buffer.from(digits.slice(2)))
    : tagged(0x18, Buffer.from(digits))
}

function alternativeName(host: string): Buffer {
  const octets = /^\d{1,3}(\.\d{1,3}){3}$/.test(host) ? host.split('.').map(Number) : null
  return octets ? tagged(0x87, Buffer.from(octets)) : tagged(0x82, Buffer.from(host))
}

const pem = (label: string, der: Buffer) =>
  `-----BEGIN ${label}-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END ${label}-----\n`
