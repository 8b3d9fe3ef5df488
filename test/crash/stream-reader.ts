/** A stream client that lives longer than the service: it comes back after every kill with the cursor it had. */
import { type Frame, openStream, type StreamClient } from '../harness/stream'

export interface StreamReader {
  readonly frames: readonly Frame[]
  /** Connects to a service that has just started. */
  follow(url: string): Promise<void>
  clear(): void
  stop(): void
}

/** Starts behind `cursor`; `headers` name the caller. */
export function createStreamReader(headers: Record<string, string>, cursor: string): StreamReader {
  let frames: Frame[] = []
  let last = cursor
  let client: StreamClient | null = null
  /** Frames of the present client that were taken over. */
  let taken = 0

  /** Takes over what a client has got so far. */
  function collect(): void {
    const got = client?.frames.slice(taken) ?? []
    taken += got.length
    for (const frame of got) {
      if (typeof frame.event !== 'string' || typeof frame.cursor !== 'string') continue
      frames.push(frame)
      last = frame.cursor
    }
  }

  return {
    get frames() {
      collect()
      return frames
    },
    async follow(url) {
      if (client) await client.closed
      collect()
      client = null
      taken = 0
      client = await openStream(`${url}/api/events/ws?after=${last}`, headers)
    },
    clear() {
      collect()
      frames = []
    },
    stop() {
      client?.close()
    },
  }
}
