/**
 * The audit log: who did what, when, from where, with which result. Facts about the running of the server, never about
 * what is said in messages.
 */

export type AuditEntry = {
  /** Milliseconds since the epoch, at which it was asked for. */
  at: number
  /** Id of the account that acted; null = nobody that is known. */
  account: string | null
  /** Id of the API key, or `token:<id>`. */
  credential: string | null
  /** A route as the OpenAPI document names it (`POST /api/sessions/{id}/start`), or a word of `AUDIT_WORDS`. */
  action: string
  /** Id of what it was done to. */
  object: string | null
  /** The session that it is about. */
  session: string | null
  address: string | null
  /** User agent, shortened. */
  agent: string | null
  /** `ok`, the code of the error, or `INTERRUPTED` when the process ended in the middle of it. */
  result: string
  /** How many times, where like entries of a minute are told together. */
  count: number
  /** Names of the fields that were given, never their values. */
  fields: readonly string[]
}

/** Actions that are no route → a sentence. */
export const AUDIT_WORDS = {
  'auth.failed': 'Credentials were refused',
  'access.denied': 'Good credentials were refused for what they asked',
  'rate.limited': 'Requests were refused because there were too many',
  'credential.used': 'A key or token was used, for the first time of that day from that address',
  'server.started': 'The server began to answer; the object is its version',
  'server.stopped': 'The server ended in order',
  'wabun user create': 'An account was made on the command line',
  'wabun user reset-password': 'A password was replaced on the command line',
  'key.rotated': 'The master key was changed',
  'audit.pruned': 'Old entries were removed; the object is the number of the last of them',
} as const
export type AuditWord = keyof typeof AUDIT_WORDS

export const AUDIT_OK = 'ok'
/** Nobody knows how it ended: the process was killed in between. */
export const AUDIT_INTERRUPTED = 'INTERRUPTED'

/** An entry about what no caller did. */
export const ownEntry = (action: AuditWord, at: number, object: string | null = null): AuditEntry => ({
  at,
  account: null,
  credential: null,
  action,
  object,
  session: null,
  address: null,
  agent: null,
  result: AUDIT_OK,
  count: 1,
  fields: [],
})

/** Its numbers have no gap. `hash` (hex) covers the entry, its number and the hash before. */
export type AuditRow = AuditEntry & { number: number; hash: string }

export type AuditFilter = {
  account?: string | undefined
  /** An action, or the beginning of some. */
  action?: string | undefined
  session?: string | undefined
  /** Milliseconds since the epoch, both included. */
  since?: number | undefined
  until?: number | undefined
  /** Only entries with a lower number. */
  before?: number | undefined
  limit: number
}

/** What does not fit, by the number of the entry where it shows. */
export type AuditProblem = { number: number; kind: keyof typeof AUDIT_PROBLEMS }
export const AUDIT_PROBLEMS = {
  changed: 'The entry, or its place, is not what was written',
  missing: 'Entries before this one are gone',
  truncated: 'Entries after this one are gone',
  added: 'The entry was not written by this server',
  origin: 'Address and user agent of the entry are not what was written, or are gone',
  anchor: 'The mark of where the log begins was changed',
  unknown: 'The number and hash that were given are not of this log',
} as const

export type AuditVerdict = {
  sound: boolean
  /** Entries looked at, and the numbers of the first and the last. */
  entries: number
  first: number
  last: number
  /** Hash of the last, hex; to be kept elsewhere, and given back as `known` later. */
  head: string
  /** Entries whose address was erased with their account. */
  erased: number
  /** The first hundred. */
  problems: AuditProblem[]
}

/** Something under way: it is on disk as begun with the next commit, and so before, or with, what it does. */
export interface AuditOpen {
  /** Resolves when the entry is in the log. Rejects with `STORAGE_UNAVAILABLE` when not even its beginning is on disk. */
  end(entry: AuditEntry): Promise<void>
}

export interface Audit {
  begin(entry: AuditEntry): AuditOpen
  /** Resolves when it is on disk. Throws `STORAGE_UNAVAILABLE`. */
  append(entry: AuditEntry): Promise<void>
  /** Newest first. */
  list(filter: AuditFilter): AuditRow[]
  /** Recomputes the whole chain, a piece at a time. `known` is a number and hash that were once told as the last. */
  verify(known?: { number: number; hash: string }): Promise<AuditVerdict>
}
