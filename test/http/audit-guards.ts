/** What the audit log stands on, how it is taken away (as `hard-input/guards.ts` does it), and the test that fails then. */
import type { Guarded } from './hard-input/guards'

const guarded = (
  file: Guarded['file'],
  test: string,
  in_: string,
  guard: string,
  without: string,
): Guarded => ({
  changes: [{ file: in_, guard, without }],
  file,
  test,
})
const API = 'http/api.ts'
const ENTRY = 'says who did what to which session'
const EVERY = 'that changes something, or is for administrators'

export const AUDIT_GUARDS: Record<string, Guarded> = {
  'an entry for each call': guarded(
    'audit',
    EVERY,
    API,
    'await trail.after({ request, answer: responseValue })',
    'void [request, responseValue]',
  ),
  'an entry for what failed': guarded(
    'audit',
    EVERY,
    API,
    'await trail.failed({ request, server, body }, told)',
    '',
  ),
  'the answer waits for the entry': guarded(
    'audit',
    'a change is not answered before its entry is on disk',
    API,
    'await trail.after({ request, answer: responseValue })',
    'setTimeout(() => trail.after({ request, answer: responseValue }), 50)',
  ),
  'what administrators read': guarded(
    'audit',
    EVERY,
    'http/audit-rules.ts',
    "if (access.includes('admin')) return 'each'",
    '',
  ),
  'names of fields alone': guarded(
    'audit',
    ENTRY,
    'http/audit-trail.ts',
    ': [name],',
    ': [name + String(value)],',
  ),
  'numbers are shortened': guarded(
    'audit',
    'the id +491701234567',
    'http/audit-trail.ts',
    'return text.replace(NUMBER, ',
    'return text.replace(/x{99}/, ',
  ),
  'a flood is counted': guarded(
    'audit',
    'a million of them make two entries',
    'http/audit-repeats.ts',
    'if (seen.size < MOST || seen.has(key))',
    'if (seen.size >= 0)',
  ),
  'hashes under a key': guarded(
    '../storage/audit',
    'a change with all hashes after it made anew',
    'storage/audit-row.ts',
    "createHmac('sha256', key)\n    .update(before)",
    "createHmac('sha256', new Uint8Array(32))\n    .update(before)",
  ),
  'hashes over the one before': guarded(
    '../storage/audit',
    'two that change places',
    'storage/audit-row.ts',
    '.update(before)',
    '',
  ),
  'marks under a key': guarded(
    '../storage/audit',
    'a head that is made to fit',
    'storage/audit-marks.ts',
    'if (mac !== macOf(name, number, hash)) throw new ForgedMark(name)',
    '',
  ),
  'a gap stays': guarded(
    '../storage/audit',
    'an end that is cut off',
    'storage/audit.ts',
    'return { number: Math.max(head.number, last), hash: head.hash }',
    "const row = database.query('SELECT hash FROM audit ORDER BY number DESC LIMIT 1').get()\n      return { number: last, hash: row?.hash ?? mark('anchor').hash }",
  ),
  'addresses go with their account': guarded(
    '../storage/audit',
    'leaves ids in the log',
    'storage/open.ts',
    'audit.forgetAccount(tenant)',
    '',
  ),
  'what was cut off is told': guarded(
    '../storage/audit',
    'is on disk before, or with, what it does',
    'storage/open.ts',
    'audit.resume()',
    '',
  ),
}
