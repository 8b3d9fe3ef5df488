/** Brings the search index after what was stored, when there is time for it. */
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import type { GroupCommit } from './group-commit'
import type { SearchIndex } from './search-index'

export interface Indexer {
  /** Messages were stored. */
  noted(count: number): void
  /** Resolves when everything stored before is indexed. */
  catchUp(): Promise<void>
  stop(): Promise<void>
}

/** A quiet moment: so long (ms) nothing was stored. */
const QUIET = 1_000
/** Behind by so many messages it does not wait for one. */
const PATIENCE = 50_000
/** Messages of one transaction: a few milliseconds. */
const CHUNK = 100

export function createIndexer(parts: {
  index: SearchIndex
  writer: GroupCommit
  clock: Clock
  log: Log
}): Indexer {
  const { index, writer, clock, log } = parts
  let stopped = false
  let cancel: (() => void) | null = null
  let notedAt = Number.NEGATIVE_INFINITY
  let waiting = 0
  let round: Promise<void> | null = null

  async function run(): Promise<void> {
    for (;;) {
      if (stopped) return
      const done = await writer.run((tx) => index.advance(tx, CHUNK))
      if (done < CHUNK) break
    }
    waiting = 0
  }

  /** One round at a time; whoever comes during one waits for another, which sees what they stored. */
  function catchUp(): Promise<void> {
    const mine = round ? round.then(() => (index.behind(1) > 0 ? run() : undefined)) : run()
    const settled = mine.finally(() => {
      if (round === settled) round = null
    })
    round = settled
    return settled
  }

  function later(): void {
    if (stopped) return
    cancel ??= clock.after(QUIET, () => {
      cancel = null
      if (waiting < PATIENCE && clock.monotonic() - notedAt < QUIET) return later()
      catchUp().catch((error) => log.error('Messages cannot be indexed', { error: String(error) }))
    })
  }

  if (index.behind(1) > 0) later()

  return {
    noted(count) {
      waiting += count
      notedAt = clock.monotonic()
      later()
    },
    catchUp,
    async stop() {
      stopped = true
      cancel?.()
      await round?.catch(() => undefined)
    },
  }
}
