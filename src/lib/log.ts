/** Severity names, lowest first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = 'json' | 'pretty'

/** Values a log line may carry; objects are refused so that no one logs a whole stanza or request by accident. */
export type LogFields = Record<string, string | number | boolean | null | undefined>

/** Structured log: one sentence and a few plain fields. Secrets, phone numbers and message content are never given to it. */
export interface Log {
  readonly level: LogLevel
  trace(says: string, fields?: LogFields): void
  debug(says: string, fields?: LogFields): void
  info(says: string, fields?: LogFields): void
  warn(says: string, fields?: LogFields): void
  error(says: string, fields?: LogFields): void
  /** A log whose lines all carry `fields`. */
  with(fields: LogFields): Log
}

export type LogOptions = {
  level: LogLevel
  format: LogFormat
  write: (line: string) => void
  now: () => number
}

const COLOURS: Record<string, string> = { trace: '90', debug: '90', info: '36', warn: '33', error: '31' }

/** Control and bidirectional characters could forge lines or hide text in a terminal; they are shown as escapes. */
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g
const escapeUnsafe = (text: string): string =>
  text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)

function pretty(level: string, at: number, says: string, fields: LogFields): string {
  const time = new Date(at).toISOString().slice(11, 23)
  const rest = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` \u001b[90m${key}=\u001b[0m${escapeUnsafe(String(value))}`)
    .join('')
  return `\u001b[90m${time}\u001b[0m \u001b[${COLOURS[level]}m${level.padEnd(5)}\u001b[0m ${escapeUnsafe(says)}${rest}`
}

/** Makes a log that writes whole lines through `options.write`. */
export function createLog(options: LogOptions, bound: LogFields = {}): Log {
  const threshold = LOG_LEVELS.indexOf(options.level)
  const at =
    (level: Exclude<LogLevel, 'silent'>) =>
    (says: string, fields: LogFields = {}) => {
      if (LOG_LEVELS.indexOf(level) < threshold) return
      const all = { ...bound, ...fields }
      const now = options.now()
      options.write(
        options.format === 'pretty'
          ? pretty(level, now, says, all)
          : JSON.stringify({ time: new Date(now).toISOString(), level, says, ...all }).replace(
              UNSAFE,
              (char) => escapeUnsafe(char),
            ),
      )
    }
  return {
    level: options.level,
    trace: at('trace'),
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    with: (fields) => createLog(options, { ...bound, ...fields }),
  }
}

/** A log that says nothing. */
export const silentLog: Log = createLog({
  level: 'silent',
  format: 'json',
  write: () => undefined,
  now: () => 0,
})
