/**
 * Makes voice notes on a thread of its own: they cost seconds of computing and memory that the rest must not feel.
 * An entry point of its own in the single program (`build/binary.ts`).
 */
import { createBreath, UnreadableSound } from './sound'
import { type VoiceNote, voiceNote } from './voice'
import type { FromWorker, ToWorker } from './voice-lines'

declare const self: {
  onmessage: ((event: { data: ToWorker }) => void) | null
  postMessage(message: FromWorker): void
}

type Job = {
  note: VoiceNote
  pieces: AsyncIterator<Uint8Array>
  /** Waits for the piece that was asked for. */
  waiting: ((piece: Uint8Array | null) => void) | null
}

const jobs = new Map<number, Job>()
const say = (message: FromWorker) => self.postMessage(message)
const breath = createBreath(() => performance.now())

// The MP3 decoder writes there what it also returns.
console.error = () => undefined

function open(job: number, mimetype: string, keep: boolean, maxSeconds: number): void {
  async function* source(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const piece = await new Promise<Uint8Array | null>((resolve) => {
        const own = jobs.get(job)
        if (!own) return resolve(null)
        own.waiting = resolve
        say({ kind: 'want', job })
      })
      if (piece === null) return
      yield piece
    }
  }
  const note = voiceNote(source(), mimetype, keep, { maxSeconds, breath })
  jobs.set(job, { note, pieces: note.bytes[Symbol.asyncIterator](), waiting: null })
}

async function pull(job: number, { note, pieces }: Job): Promise<void> {
  try {
    const next = await pieces.next()
    if (!jobs.has(job)) return
    if (!next.done) return say({ kind: 'piece', job, piece: next.value })
    jobs.delete(job)
    say({ kind: 'done', job, facts: note.facts() })
  } catch (error) {
    if (!jobs.delete(job)) return
    const says = error instanceof Error ? error.message : String(error)
    say({ kind: 'failed', job, unreadable: error instanceof UnreadableSound, says })
  }
}

async function drop(job: number, { pieces, waiting }: Job): Promise<void> {
  jobs.delete(job)
  waiting?.(null)
  // Frees the decoder and the encoder; what it complains about has no listener any more.
  await pieces.return?.().catch(() => undefined)
}

self.onmessage = ({ data }) => {
  if (data.kind === 'open') return open(data.job, data.mimetype, data.keep, data.maxSeconds)
  const job = jobs.get(data.job)
  if (!job) return
  if (data.kind === 'pull') void pull(data.job, job)
  else if (data.kind === 'drop') void drop(data.job, job)
  else {
    const { waiting } = job
    job.waiting = null
    waiting?.(data.piece)
  }
}
