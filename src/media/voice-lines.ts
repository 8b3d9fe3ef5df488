/** What the studio and its worker say to each other; every job is pulled, so neither side runs ahead of the other. */
import type { VoiceFacts } from './voice'

export type ToWorker =
  | { kind: 'open'; job: number; mimetype: string; keep: boolean; maxSeconds: number }
  /** The next piece of the result is wanted. */
  | { kind: 'pull'; job: number }
  /** The piece of the source that was wanted; null at its end. */
  | { kind: 'source'; job: number; piece: Uint8Array | null }
  /** Nobody wants the result any more, or the source has failed. */
  | { kind: 'drop'; job: number }

export type FromWorker =
  /** The next piece of the source is wanted. */
  | { kind: 'want'; job: number }
  | { kind: 'piece'; job: number; piece: Uint8Array }
  | { kind: 'done'; job: number; facts: VoiceFacts }
  /** `unreadable`: the sound is at fault, and the message may be shown. */
  | { kind: 'failed'; job: number; unreadable: boolean; says: string }
