/** The two marks that say where the audit log ends (head) and where it begins (anchor), each under a MAC. */
import { createHmac } from 'node:crypto'
import type { Meta } from './meta'

/** Number and hash of a row. */
export type AuditMark = { number: number; hash: Uint8Array }
export type AuditMarkName = 'head' | 'anchor'

/** A mark that was changed. */
export class ForgedMark extends Error {
  constructor(readonly mark: AuditMarkName) {
    super(`The ${mark} of the audit log is not what was written`)
    this.name = 'ForgedMark'
  }
}

const NOTHING: AuditMark = { number: 0, hash: new Uint8Array(32) }

/** Makes reader and writer of the marks; `key` is that of the chain. */
export function createAuditMarks({ meta, key }: { meta: Meta; key: Uint8Array }) {
  const macOf = (name: AuditMarkName, number: number, hash: string): string =>
    createHmac('sha256', key).update(`${name}|${number}|${hash}`).digest('hex')
  return {
    /** Before anything was written, number 0 and a hash of zeros. Throws `ForgedMark`. */
    mark(name: AuditMarkName): AuditMark {
      const text = meta.get(`audit_${name}`)
      if (text === null) return NOTHING
      const { number, hash, mac } = JSON.parse(text) as { number: number; hash: string; mac: string }
      if (mac !== macOf(name, number, hash)) throw new ForgedMark(name)
      return { number, hash: Buffer.from(hash, 'hex') }
    },
    /** Part of the transaction in which it is called. */
    setMark(name: AuditMarkName, { number, hash }: AuditMark): void {
      const hex = Buffer.from(hash).toString('hex')
      meta.set(`audit_${name}`, JSON.stringify({ number, hash: hex, mac: macOf(name, number, hex) }))
    },
  }
}
