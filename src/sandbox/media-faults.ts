/** What faults do to the answers of the media host, beyond files that are gone. */
import type { Fault, Faults } from './faults'

/** A host has no idea who is asking, so any standing fault of a kind meets every request. */
export type MediaFaults = Pick<Faults, 'of' | 'use' | 'onEnd'>

const DOWNLOADS = ['media_refuse', 'media_hang', 'media_truncated', 'media_corrupt'] as const
const UPLOADS = ['media_refuse'] as const
type Kind = (typeof DOWNLOADS)[number]

/** Lets a standing fault have its way with an answer. Null in the good case. */
export function disturbed(
  faults: MediaFaults | undefined,
  direction: 'upload' | 'download',
): ((answer: Response) => Promise<Response>) | null {
  for (const kind of direction === 'upload' ? UPLOADS : DOWNLOADS) {
    const [fault] = faults?.of(kind) ?? []
    if (faults === undefined || fault === undefined) continue
    faults.use(fault)
    return (answer) => EFFECTS[kind](answer, fault, faults)
  }
  return null
}

type Effect = (answer: Response, fault: Fault, faults: MediaFaults) => Promise<Response>

const EFFECTS: Record<Kind, Effect> = {
  media_refuse: async (_answer, { status = 503 }) => Response.json({ error: 'refused' }, { status }),
  media_truncated: async (answer) => {
    const bytes = await answer.bytes()
    return like(answer, bytes.subarray(0, bytes.length >>> 1))
  },
  media_corrupt: async (answer) => {
    const bytes = await answer.bytes()
    const middle = bytes.length >>> 1
    return like(
      answer,
      bytes.map((byte, at) => (at === middle ? byte ^ 0xff : byte)),
    )
  },
  media_hang: async (answer, fault, faults) => {
    const bytes = await answer.bytes()
    const middle = bytes.length >>> 1
    // The rest comes when the fault is over; whoever waits that long gets the file.
    const over = new Promise<void>((resolve) => faults.onEnd(({ id }) => id === fault.id && resolve()))
    async function* slowly() {
      yield bytes.subarray(0, middle)
      await over
      yield bytes.subarray(middle)
    }
    return like(answer, slowly())
  },
}

function like(answer: Response, body: Uint8Array | AsyncIterable<Uint8Array>): Response {
  return new Response(body, { status: answer.status, headers: answer.headers })
}
