/** A WebSocket client of the event stream. */
import { says } from './story'
import { createWaiting } from './waiting'

export type StreamWatch = { waitFor(event: string): Promise<void>; stop(): void }

/** Connects and resolves once subscribed. */
export async function watchStream(
  url: string,
  apiKey: string,
  onEvent: (event: string, says: string) => void,
): Promise<StreamWatch> {
  const waiting = createWaiting('WebSocket')
  const opened = Promise.withResolvers<void>()
  // Bun's client can set headers; browsers use a ticket (POST /api/auth/ticket).
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/events/ws?events=*`, {
    headers: { 'x-api-key': apiKey },
  } as unknown as string[])
  socket.onerror = () => opened.reject(new Error('The WebSocket could not be opened'))
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(String(data)) as Record<string, unknown>
    if (frame.type === 'subscribed') opened.resolve()
    if (typeof frame.event !== 'string') return
    onEvent(frame.event, says(frame))
    waiting.happened(frame.event)
  }
  await opened.promise
  return { waitFor: waiting.waitFor, stop: () => socket.close(1000) }
}
