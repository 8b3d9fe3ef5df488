/**
 * Upstream defect: `libsignal` 6.0.0 prints whole sessions, private ratchet keys included, through `console.info`
 * ("Closing session:", …) and fills the output with the stack of every failed decryption.
 *
 * Repair: `console` methods drop exactly the lines that `libsignal` writes (by their first words) and any line that
 * would show one of its session objects; everything else passes. The dropped lines are counted.
 *
 * Upstream repaired it when the test that lists `console.` calls in `libsignal/src` finds none.
 */
const METHODS = ['log', 'info', 'warn', 'error', 'debug'] as const

/** How each line of `libsignal` begins. */
export const LIBSIGNAL_LINES = [
  'Closing session:',
  'Opening session:',
  'Session already closed',
  'Session already open',
  'Removing old closed session:',
  'Migrating session to:',
  'V1 session storage migration error',
  'Closing open session in favor of incoming prekey bundle',
  'Closing stale open session',
  'Decrypted message with closed session.',
  'Failed to decrypt message with any known session...',
  'Session error:',
  'WARNING: Expected pubkey of length 33',
  'Unhandled bucket type',
] as const

const SESSION_CLASSES = new Set(['SessionEntry', 'SessionRecord'])

export type QuietLibsignal = {
  /** Lines dropped so far. */
  readonly dropped: number
  undo(): void
}

/** Keeps libsignal's lines off stdout and stderr; process-wide. `heard` gets the first words of each. */
export function quietLibsignal(heard: (line: string) => void = () => undefined): QuietLibsignal {
  let dropped = 0
  const originals = METHODS.map((method) => [method, console[method]] as const)
  for (const [method, original] of originals) {
    console[method] = (...args: unknown[]) => {
      const line = linesOfLibsignal(args)
      if (line === null) return original.apply(console, args)
      dropped += 1
      heard(line)
    }
  }
  return {
    get dropped() {
      return dropped
    },
    undo() {
      for (const [method, original] of originals) console[method] = original
    },
  }
}

function linesOfLibsignal(args: readonly unknown[]): string | null {
  const [first] = args
  const known = typeof first === 'string' ? LIBSIGNAL_LINES.find((line) => first.startsWith(line)) : undefined
  if (known !== undefined) return known
  return args.some(isSession) ? 'a session object' : null
}

const isSession = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && SESSION_CLASSES.has(value.constructor?.name ?? '')
