/**
 * The guards that keep the promises, and how each is taken away: changes to the source, made as a file is loaded, by the
 * program of the tests alone. The product has no switch for any of them.
 */

export type Change = {
  /** Below `src`. */
  file: string
  /** Exact words, once in the file. */
  guard: string
  without: string
}

/** The first change takes it away; others hold open the moment that it guarded, so that a kill is sure to meet it. */
export type Guard = readonly [Change, ...Change[]]

export const GUARDS = {
  'stanza on disk first': [
    {
      file: 'whatsapp/baileys/inbound-journal.ts',
      guard: 'const written = vault.receive(entering.stanza)',
      without: 'const written = Promise.resolve(0)',
    },
  ],
  'plaintext with the ratchet': [
    {
      file: 'whatsapp/baileys/repository.ts',
      guard: 'if (!isKnown) await keys.set({ [PLAINTEXT]: { [id]: { author, plaintext } } })',
      without: '',
    },
  ],
  'ratchet before the wire': [
    {
      file: 'whatsapp/baileys/repository.ts',
      guard: '...outsideTransactions(lockedByPerson(inner))',
      without: '...lockedByPerson(inner)',
    },
    {
      file: 'whatsapp/baileys/auth-state.ts',
      guard: 'set: (data: SignalDataSet) => commit(writesOf(data)),',
      without: `set: async (data: SignalDataSet) => {
        const isOurs = 'sender-key' in data && !('plaintext' in data)
        if (process.env.CRASH_POINT && isOurs) await new Promise(() => undefined)
        return commit(writesOf(data))
      },`,
    },
  ],
  'sent when acknowledged': [
    {
      file: 'whatsapp/baileys/sending.ts',
      guard: 'const { at, serverId } = await answer',
      without: 'const { at, serverId } = { at: Date.now(), serverId: null }',
    },
  ],
  'position of the webhooks': [
    {
      file: 'storage/webhooks.ts',
      guard: "let position = Number(meta.get('webhook_position') ?? 0)",
      without: 'let position = journal.head()',
    },
  ],
  'failed attempts undone': [
    {
      file: 'whatsapp/baileys/upstream/failed-attempts.ts',
      guard: 'if (session) restore(session, before)',
      without: '',
    },
  ],
  'failed deliveries again': [
    {
      file: 'webhooks/dispatcher.ts',
      guard: 'const at = nextAttemptAt(delivery.attempt, clock.now(), outcome.retryAfterMs, random)',
      without: 'const at: number | null = null',
    },
  ],
  'a lane waits': [
    {
      file: 'domain/webhook.ts',
      guard: 'failedAttempt > RETRIES_IN_LANE ||',
      without: 'true ||',
    },
  ],
} as const satisfies Record<string, Guard>

/** No guard: waits of hours between attempts at a webhook, made short enough for a run to see the last of them. */
export const SHORT_WAITS: Change = {
  file: 'domain/webhook.ts',
  guard: '30_000, 300_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,',
  without: '20, 30, 40, 50, 50, 50, 50,',
}

export type GuardName = keyof typeof GUARDS

/** The source with one change made; throws when the words are not there once. */
export function changed({ file, guard, without }: Change, source: string): string {
  if (source.split(guard).length !== 2) throw new Error(`“${guard}” is not in ${file} once`)
  return source.replace(guard, () => without)
}
