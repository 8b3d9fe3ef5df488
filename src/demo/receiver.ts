/** A webhook receiver as a customer would write it: checks the signature over the raw body before it believes anything. */
import { createHmac } from 'node:crypto'
import { sameSecret } from '../lib/token'
import { says } from './story'
import { createWaiting } from './waiting'

export type Receiver = {
  readonly url: string
  expectSecret(secret: string): void
  onDelivery(listener: (delivery: { event: string; says: string }) => void): void
  waitFor(event: string): Promise<void>
  stop(): Promise<void>
}

/** Starts a receiver on a free port of 127.0.0.1. */
export function createReceiver(): Receiver {
  const known = Promise.withResolvers<string>()
  const waiting = createWaiting('webhook')
  let listener: (delivery: { event: string; says: string }) => void = () => undefined
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const raw = await request.text()
      // The first delivery may be here before the answer that shows the secret.
      const wanted = `sha256=${createHmac('sha256', await known.promise)
        .update(raw)
        .digest('hex')}`
      if (!sameSecret(request.headers.get('x-webhook-signature') ?? '', wanted)) {
        return new Response('The signature is wrong', { status: 401 })
      }
      const event = JSON.parse(raw) as Record<string, unknown>
      const name = String(event.event)
      listener({ event: name, says: says(event) })
      waiting.happened(name)
      return new Response(null, { status: 204 })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/webhook`,
    expectSecret: known.resolve,
    onDelivery(next) {
      listener = next
    },
    waitFor: waiting.waitFor,
    stop: () => server.stop(true),
  }
}
