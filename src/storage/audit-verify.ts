/** Recomputes the audit chain from its anchor to its head, a piece at a time, so that nobody waits for it. */
import type { Database } from 'bun:sqlite'
import type { AuditProblem, AuditVerdict } from '../domain/audit'
import { type AuditMark, type AuditMarkName, ForgedMark } from './audit-marks'
import { originHash, type RawAuditRow, type RawOrigin, rowHash, sameBytes } from './audit-row'

const CHUNK = 1_000
const MOST_PROBLEMS = 100

type Joined = RawAuditRow & {
  salt: Uint8Array | null
  address: string | null
  agent: string | null
  lives: number
}

export async function verifyAudit(parts: {
  database: Database
  key: Uint8Array
  mark(name: AuditMarkName): AuditMark
  known: { number: number; hash: string } | undefined
}): Promise<AuditVerdict> {
  const { database, key, known } = parts
  const rows = database.prepare<Joined, [number, number, number]>(
    `SELECT audit.*, salt, address, agent, EXISTS (SELECT 1 FROM users WHERE id = account) AS lives
     FROM audit LEFT JOIN audit_origins USING (number)
     WHERE audit.number > ? AND audit.number <= ? ORDER BY audit.number LIMIT ?`,
  )
  const highest = database.prepare<{ number: number | null }, []>('SELECT max(number) AS number FROM audit')

  const problems: AuditProblem[] = []
  const complain = (number: number, kind: AuditProblem['kind']): void => {
    if (problems.length < MOST_PROBLEMS) problems.push({ number, kind })
  }
  const markOr = (name: AuditMarkName): AuditMark | null => {
    try {
      return parts.mark(name)
    } catch (error) {
      if (!(error instanceof ForgedMark)) throw error
      return null
    }
  }

  // Head and highest are read in one go: rows that come while this runs are not its business.
  const head = markOr('head')
  const top = highest.get()?.number ?? 0
  let anchor = markOr('anchor')
  if (!anchor) complain(0, 'anchor')
  let last: AuditMark | null = anchor
  let at = anchor?.number ?? 0
  let entries = 0
  let erased = 0
  let first = 0
  let metKnown = known === undefined

  for (;;) {
    const piece = rows.all(at, top, CHUNK)
    for (const row of piece) {
      if (row.number !== at + 1) {
        // What retention has taken away meanwhile is not missing.
        anchor = markOr('anchor')
        if (anchor?.number === row.number - 1) last = anchor
        else {
          complain(row.number, 'missing')
          last = null
        }
      }
      if (last && !sameBytes(row.hash, rowHash(key, last.hash, row))) {
        complain(row.number, head && row.number > head.number ? 'added' : 'changed')
      }
      const origin = originOf(row)
      if (row.origin !== null && !origin && row.account !== null && row.lives === 0) erased++
      else if (
        row.origin === null ? origin !== null : !origin || !sameBytes(row.origin, originHash(key, origin))
      )
        complain(row.number, 'origin')
      if (known && known.number === row.number) {
        metKnown = Buffer.from(row.hash).toString('hex') === known.hash
      }
      if (entries === 0) first = row.number
      entries++
      at = row.number
      last = row
    }
    if (piece.length < CHUNK) break
    await new Promise((resolve) => setImmediate(resolve))
  }

  const nothing = entries === 0
  if (!head) complain(at, 'truncated')
  else if (head.number > at || (head.number === at && !sameBytes(head.hash, last?.hash ?? new Uint8Array())))
    complain(at, head.number > at ? 'truncated' : 'changed')
  else if (head.number < at && !problems.some(({ kind }) => kind === 'added')) complain(at, 'added')
  if (known && !metKnown) {
    // What retention has removed cannot be compared any more, except its edge.
    const edge = anchor && known.number === anchor.number
    if (!(edge && Buffer.from(anchor?.hash ?? []).toString('hex') === known.hash) && known.number >= first)
      complain(known.number, 'unknown')
  }
  return {
    sound: problems.length === 0,
    entries,
    first: nothing ? 0 : first,
    last: nothing ? 0 : at,
    head: Buffer.from(last?.hash ?? []).toString('hex'),
    erased,
    problems,
  }
}

const originOf = ({ salt, address, agent }: Joined): RawOrigin | null =>
  salt === null ? null : { salt, address, agent }
