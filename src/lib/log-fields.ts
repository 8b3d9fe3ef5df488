/**
 * What a log line may carry: a short list of names, and text only after what looks like a secret or a number of a person
 * has been taken out. A name that is not on the list is not written, whatever its value.
 */

/** `word`: ids, names and numbers of our own making. `text`: words that come from elsewhere, and may hold anything. */
export const LOG_FIELDS = {
  // Who and which
  sessionId: 'word',
  session: 'word',
  messageId: 'word',
  requestId: 'word',
  user: 'word',
  role: 'word',
  endpoint: 'word',
  part: 'word',
  // What happened
  action: 'word',
  command: 'word',
  event: 'word',
  kind: 'word',
  method: 'word',
  signal: 'word',
  status: 'word',
  code: 'word',
  reason: 'text',
  why: 'text',
  what: 'text',
  where: 'text',
  path: 'text',
  error: 'text',
  detail: 'text',
  stack: 'text',
  // How much and when
  attempt: 'word',
  files: 'word',
  generation: 'word',
  kept: 'word',
  keys: 'word',
  messages: 'word',
  ms: 'word',
  rows: 'word',
  sessions: 'word',
  since: 'word',
  stanzas: 'word',
  // The machine and its neighbours
  directory: 'word',
  file: 'word',
  host: 'word',
  rootKey: 'word',
  version: 'word',
} as const satisfies Record<string, 'word' | 'text'>

export type LogField = keyof typeof LOG_FIELDS
/** Objects are refused so that no one logs a whole stanza or request by accident. */
export type LogValue = string | number | boolean | null | undefined
export type LogFields = { readonly [Name in LogField]?: LogValue }

/** Characters of a value that are written. */
const LONGEST = { word: 300, text: 4_000 }

/** What is taken out of text, and what stands there instead. Each has a bound, so that no text makes it slow. */
const SCRUBBED: readonly (readonly [RegExp, string | ((found: string) => string)])[] = [
  [/\b(wapi|whsec|whsk|whpk)_[^\s"'\\,;)]{1,400}/g, '$1_…'],
  [/\b(Bearer|Basic) {1,4}[^\s"'\\,;)]{1,4000}/gi, '$1 …'],
  // Who logs in at a proxy or a server, and what stands behind the question mark of an address.
  [/\/\/[^\s/@"'\\]{1,300}@/g, '//…@'],
  [/\b([a-z]{2,12}:\/\/[^\s?#"'\\]{1,2000})\?[^\s"'\\]*/gi, '$1?…'],
  [/[A-Za-z0-9._%+-]{1,64}@(?=[a-z0-9-]{1,63}\.[a-z])/gi, '…@'],
  [/[A-Za-z0-9+/_=-]{40,}/g, (run) => (isKeyLike(run) ? '…' : run)],
  // Bytes as they print: lists of numbers, and pairs of hexadecimal digits.
  [/(?:\b\d{1,3}, ?){8,}\d{1,3}\b/g, '…'],
  [/(?:\b[0-9a-f]{2} ){8,}[0-9a-f]{2}\b/gi, '…'],
  // Numbers of people; the ids of sessions are hexadecimal and may have as many digits in a row.
  [/[0-9A-Za-z]{7,}/g, (run) => (SESSION_ID.test(run) ? run : run.replace(/\d{7,}/g, '#'))],
]
const SESSION_ID = /^[0-9a-f]{32}$/

/** Hexadecimal that is longer than any id of ours, or letters of both sizes and digits, as base64 has them. */
const isKeyLike = (run: string): boolean =>
  /^[0-9a-f]+$/i.test(run) || (/[0-9]/.test(run) && /[A-Z]/.test(run) && /[a-z]/.test(run))

/** Text without what looks like a key, a token, a mail address or a number of a person. */
export function scrubbed(text: string): string {
  let clean = text.length > LONGEST.text ? `${text.slice(0, LONGEST.text)}…` : text
  for (const [pattern, instead] of SCRUBBED) {
    clean = typeof instead === 'string' ? clean.replace(pattern, instead) : clean.replace(pattern, instead)
  }
  return clean
}

/** The fields that may be written, as they may be written; how many more there were stands under `hidden`. */
export function shownFields(fields: LogFields): Record<string, Exclude<LogValue, undefined>> {
  const shown: Record<string, Exclude<LogValue, undefined>> = {}
  let hidden = 0
  for (const [name, value] of Object.entries(fields) as [string, unknown][]) {
    if (value === undefined) continue
    const isKnown = Object.hasOwn(LOG_FIELDS, name)
    if (!isKnown || (typeof value === 'object' && value !== null) || typeof value === 'function') hidden += 1
    else if (typeof value !== 'string') shown[name] = value as number | boolean | null
    else if (LOG_FIELDS[name as LogField] === 'text') shown[name] = scrubbed(value)
    else shown[name] = value.length > LONGEST.word ? `${value.slice(0, LONGEST.word)}…` : value
  }
  if (hidden > 0) shown.hidden = hidden
  return shown
}
