import { type LogFields, scrubbed, shownFields } from './log-fields'

/** Severity names, lowest first. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]
export type LogFormat = 'json' | 'pretty'

/**
 * Structured log: one sentence and a few plain fields. Secrets, phone numbers and message content are never given to it;
 * what comes in by accident is taken out as far as its form tells it (`log-fields.ts`).
 */
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

/**
 * Control, bidirectional and invisible characters could forge lines or hide text in a terminal; they are shown as escapes,
 * which are those of JSON.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu
const escapeUnsafe = (text: string): string =>
  text.replace(UNSAFE, (char) =>
    Array.from(
      { length: char.length },
      (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  )

function pretty(level: string, at: number, says: string, fields: Record<string, unknown>): string {
  const time = new Date(at).toISOString().slice(11, 23)
  const rest = Object.entries(fields)
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
      const all = shownFields({ ...bound, ...fields })
      const sentence = scrubbed(says)
      const now = options.now()
      options.write(
        options.format === 'pretty'
          ? pretty(level, now, sentence, all)
          : escapeUnsafe(
              JSON.stringify({ time: new Date(now).toISOString(), level, says: sentence, ...all }),
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
