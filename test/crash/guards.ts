/**
 * The guards that keep the promises, and how each is taken away: one change to the source, made as the file is loaded, by
 * the program of the tests alone. The product has no switch for any of them.
 */

export type Guard = {
  /** Below `src`. */
  file: string
  /** Exact words, once in the file. */
  guard: string
  without: string
}

export const GUARDS = {
  'stanza on disk first': {
    file: 'whatsapp/baileys/inbound-journal.ts',
    guard: 'const written = vault.receive(entering.stanza)',
    without: 'const written = Promise.resolve(0)',
  },
  'plaintext with the ratchet': {
    file: 'whatsapp/baileys/repository.ts',
    guard: 'if (!isKnown) await keys.set({ [PLAINTEXT]: { [id]: { author, plaintext } } })',
    without: '',
  },
  'ratchet before the wire': {
    file: 'whatsapp/baileys/repository.ts',
    guard: '...outsideTransactions(lockedByPerson(inner))',
    without: '...lockedByPerson(inner)',
  },
  'sent when acknowledged': {
    file: 'whatsapp/baileys/sending.ts',
    guard: 'const { at, serverId } = await answer',
    without: 'const { at, serverId } = { at: Date.now(), serverId: null }',
  },
  'position of the webhooks': {
    file: 'storage/webhooks.ts',
    guard: "let position = Number(meta.get('webhook_position') ?? 0)",
    without: 'let position = journal.head()',
  },
  'failed attempts undone': {
    file: 'whatsapp/baileys/upstream/failed-attempts.ts',
    guard: 'if (session) restore(session, before)',
    without: '',
  },
} as const satisfies Record<string, Guard>

export type GuardName = keyof typeof GUARDS

/** The source without its guard; throws when the words are not there once. */
export function withoutGuard(name: GuardName, source: string): string {
  const { file, guard, without } = GUARDS[name]
  if (source.split(guard).length !== 2) throw new Error(`“${guard}” is not in ${file} once`)
  return source.replace(guard, () => without)
}
