/**
 * A webhook receiver with moods: it takes most posts, refuses some, cuts some off, and is slow to take others.
 *
 * It lives as long as the world does, and its moods come from one seed.
 */
import { createServer, type ServerResponse } from 'node:http'

/** A post that was answered 2xx. */
export type Taken = { body: Record<string, unknown> }

export interface MoodySink {
  readonly url: string
  /** Answered 2xx since the last `clear`, in the order of their arrival. */
  readonly taken: readonly Taken[]
  /** By id of the event: how its other posts ended, a status or 0 for no answer; since the last `clear`. */
  readonly failures: ReadonlyMap<string, readonly number[]>
  /** All posts since it was started. */
  readonly posts: number
  clear(): void
  stop(): Promise<void>
}

export type Moods = {
  /** The share of posts that fail. */
  fails: number
  random: () => number
}

/** Down, overloaded, refusing what it got, gone in the middle. */
const FAILURES = [500, 503, 400, 0] as const
/** An event that has failed so often is taken, for the service gives up after eight. */
const MOST_FAILURES = 5
/** One post in so many is taken late, so that its place is given to others meanwhile (ms). */
const SLOW = { oneIn: 100, afterMs: 300 }

/** Starts it on a free port of 127.0.0.1. */
export async function startMoodySink({ fails, random }: Moods): Promise<MoodySink> {
  let taken: Taken[] = []
  let failures = new Map<string, number[]>()
  let posts = 0

  function answer(response: ServerResponse, body: Record<string, unknown>): void {
    posts += 1
    const id = String(body.id)
    const before = failures.get(id) ?? []
    if (fails > 0 && before.length < MOST_FAILURES && random() < fails) {
      const status = FAILURES[Math.floor(random() * FAILURES.length)] ?? 500
      failures.set(id, [...before, status])
      if (status === 0) response.socket?.destroy()
      else response.writeHead(status).end()
      return
    }
    taken.push({ body })
    const take = () => response.writeHead(204).end()
    if (fails > 0 && random() * SLOW.oneIn < 1) setTimeout(take, SLOW.afterMs)
    else take()
  }

  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    // The service may die in the middle of a post.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    request.on('end', () => answer(response, JSON.parse(Buffer.concat(pieces).toString('utf8'))))
  })
  const listening = Promise.withResolvers<void>()
  server.listen(0, '127.0.0.1', listening.resolve)
  await listening.promise
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('The receiver has no port')

  return {
    url: `http://127.0.0.1:${address.port}/`,
    get taken() {
      return taken
    },
    get failures() {
      return failures
    },
    get posts() {
      return posts
    },
    clear() {
      taken = []
      failures = new Map()
    },
    async stop() {
      server.closeAllConnections()
      server.close()
    },
  }
}
