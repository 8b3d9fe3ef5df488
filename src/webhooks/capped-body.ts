/** Reads the beginning of a response and lets go of the rest. */
import type { Clock } from '../lib/clock'

export type CappedBody = { text: string; truncated: boolean }

/**
 * The first `limit` bytes as text, or what arrived within `timeoutMs`. A body that ends within both leaves its
 * connection usable for the next request; otherwise the connection is dropped.
 */
export async function readCapped(
  response: Response,
  options: { limit: number; timeoutMs: number; clock: Clock },
): Promise<CappedBody> {
  const reader = response.body?.getReader()
  if (!reader) return { text: '', truncated: false }
  const chunks: Uint8Array[] = []
  let length = 0
  let truncated = false
  const cut = () => {
    truncated = true
    // A cancelled body may reject with the peer's own failure; there is nobody left who needs it.
    reader.cancel().catch(() => undefined)
  }
  const disarm = options.clock.after(options.timeoutMs, cut)
  try {
    while (!truncated) {
      const { done, value } = await reader.read()
      if (done) break
      chunks.push(value)
      length += value.byteLength
      if (length > options.limit) cut()
    }
  } catch {
    // The status is known already; a body that breaks off only ends early.
    truncated = true
  } finally {
    disarm()
  }
  return { text: Buffer.concat(chunks).subarray(0, options.limit).toString('utf8'), truncated }
}
