/** Voice notes from a thread of its own, which is there while there is work and for a little while after. */
import type { Bytes } from '../domain/media'
import type { Clock } from '../lib/clock'
import { UnreadableSound } from './sound'
import type { VoiceFacts, VoiceNote } from './voice'
import type { FromWorker, ToWorker } from './voice-lines'

export interface VoiceStudio {
  /** As `voiceNote`, made elsewhere. Iterating throws `UnreadableSound`, or whatever the source throws. */
  note(source: Bytes, mimetype: string, keep: boolean, maxSeconds: number): VoiceNote
  /** Ends the thread; notes in the making fail. */
  stop(): Promise<void>
}

/** In the single program all code lies at the root, but threads keep their paths (`build/binary.ts`). */
const WORKER = new URL(
  Bun.isStandaloneExecutable ? './src/media/voice-worker.ts' : './voice-worker.ts',
  import.meta.url,
).href

/** How long the thread waits for more work (ms). */
const IDLE = 30_000

type Heard = FromWorker | { kind: 'gone'; says: string }
type Listener = { thread: Worker; hear: (message: Heard) => void }

export function createVoiceStudio({ clock }: { clock: Clock }): VoiceStudio {
  let worker: Worker | null = null
  let disarm: (() => void) | null = null
  let jobs = 0
  const listeners = new Map<number, Listener>()

  function running(): Worker {
    disarm?.()
    disarm = null
    if (worker) return worker
    const started = new Worker(WORKER)
    // A thread without work does not keep the program from ending.
    started.unref()
    started.onmessage = ({ data }: MessageEvent<FromWorker>) => listeners.get(data.job)?.hear(data)
    started.onerror = ({ message }) => gone(started, message)
    started.addEventListener('close', () => gone(started, 'The thread has ended'))
    worker = started
    return started
  }

  function gone(which: Worker, says: string): void {
    if (worker === which) worker = null
    for (const { thread, hear } of listeners.values()) if (thread === which) hear({ kind: 'gone', says })
  }

  async function end(): Promise<void> {
    const ended = worker
    worker = null
    disarm?.()
    disarm = null
    await ended?.terminate()
  }

  async function* made(
    source: Bytes,
    open: Omit<Extract<ToWorker, { kind: 'open' }>, 'kind' | 'job'>,
    told: (facts: VoiceFacts) => void,
  ): AsyncGenerator<Uint8Array> {
    jobs += 1
    const job = jobs
    const thread = running()
    const say = (message: ToWorker) => thread.postMessage(message)
    const pieces = source[Symbol.asyncIterator]()
    let heard: Heard[] = []
    let wake: (() => void) | null = null
    listeners.set(job, {
      thread,
      hear(message) {
        heard.push(message)
        wake?.()
      },
    })
    const next = async () => {
      if (heard.length === 0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      wake = null
      return heard.shift()
    }
    let over = false
    try {
      say({ kind: 'open', job, ...open })
      say({ kind: 'pull', job })
      for (;;) {
        const message = await next()
        if (message?.kind === 'want') {
          const { done, value } = await pieces.next()
          say({ kind: 'source', job, piece: done ? null : value })
        } else if (message?.kind === 'piece') {
          yield message.piece
          say({ kind: 'pull', job })
        } else if (message?.kind === 'done') {
          over = true
          told(message.facts)
          return
        } else if (message) {
          over = true
          throw message.kind === 'failed' && message.unreadable
            ? new UnreadableSound(message.says)
            : new Error(`A voice note cannot be made: ${message.says}`)
        }
      }
    } finally {
      heard = []
      listeners.delete(job)
      if (!over) say({ kind: 'drop', job })
      await pieces.return?.()
      if (listeners.size === 0 && worker === thread) disarm = clock.after(IDLE, () => void end())
    }
  }

  return {
    note(source, mimetype, keep, maxSeconds) {
      let facts: VoiceFacts | null = null
      return {
        bytes: made(source, { mimetype, keep, maxSeconds }, (told) => {
          facts = told
        }),
        facts() {
          if (!facts) throw new Error('The sound was not read to its end')
          return facts
        },
      }
    },
    async stop() {
      const ended = worker
      await end()
      if (ended) gone(ended, 'The program ends')
    },
  }
}
