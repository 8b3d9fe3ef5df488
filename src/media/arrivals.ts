/** Opens the file of an ask, wherever it comes from, up to a cap. */
import { fail } from '../domain/errors'
import type { SessionId, TenantId } from '../domain/ids'
import type { Bytes, FileId, FileOrigin, KeptFile, MediaStore } from '../domain/media'
import type { Outbound } from '../lib/outbound'
import { decodeBase64, decodedLength } from './base64'
import { tooLarge } from './refusals'
import { once } from './streams'

/** An open file; `declared` and `filename` are claims. */
export type Arrival = {
  bytes: Bytes
  upload: KeptFile | null
  declared: string | null
  filename: string | null
}

export type ArrivalParts = {
  store: Pick<MediaStore, 'get' | 'read'>
  /** The client by whose way a session fetches. */
  outboundOf: (sessionId: SessionId) => Outbound
  /** The upload behind one of our own addresses, so that it is not fetched over the network; null for all others. */
  uploadBehind?: (url: string) => FileId | null
}

/** Makes the opener. Rejects with the catalogue's codes or `OutboundError`. */
export function createArrivals({ store, outboundOf, uploadBehind }: ArrivalParts) {
  function upload(tenantId: TenantId, id: FileId, maxBytes: number): Arrival {
    const file = store.get(id)
    // Files of messages are no uploads, and other accounts' files do not exist.
    if (file?.tenantId !== tenantId || file.sessionId !== null || file.messageId !== null)
      throw fail('UPLOAD_NOT_FOUND')
    if (file.size > maxBytes) throw tooLarge(maxBytes)
    return { bytes: store.read(id), upload: file, declared: file.mimetype, filename: file.filename }
  }

  function base64(field: string, text: string, maxBytes: number): Arrival {
    if (decodedLength(text) > maxBytes) throw tooLarge(maxBytes)
    const decoded = decodeBase64(text)
    if (!decoded)
      throw fail('VALIDATION_ERROR', {
        fields: [{ path: field, message: 'is not valid base64 (RFC 4648) or data URL' }],
      })
    return { bytes: once(decoded.bytes), upload: null, declared: decoded.mimetype, filename: null }
  }

  async function url(
    sessionId: SessionId,
    address: string,
    maxBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<Arrival> {
    const answer = await outboundOf(sessionId).get(address, { maxBytes, ...(signal ? { signal } : {}) })
    return {
      bytes: answer.body,
      upload: null,
      declared: answer.headers.get('content-type'),
      filename: nameIn(answer.headers.get('content-disposition')) ?? nameOfPath(answer.url),
    }
  }

  return async function arrive(
    { tenantId, sessionId }: { tenantId: TenantId; sessionId: SessionId },
    field: string,
    origin: FileOrigin,
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Arrival> {
    if (origin.from === 'upload') return upload(tenantId, origin.id, maxBytes)
    if (origin.from === 'base64') return base64(field, origin.data, maxBytes)
    const own = uploadBehind?.(origin.url) ?? null
    return own === null ? url(sessionId, origin.url, maxBytes, signal) : upload(tenantId, own, maxBytes)
  }
}

/** `filename*=UTF-8''…` or `filename="…"` (RFC 6266). */
function nameIn(disposition: string | null): string | null {
  const extended = /;\s*filename\*\s*=\s*UTF-8''([^;\s]+)/i.exec(disposition ?? '')?.[1]
  if (extended !== undefined) return percentDecoded(extended)
  const plain = /;\s*filename\s*=\s*(?:"([^"]*)"|([^;\s]+))/i.exec(disposition ?? '')
  return plain?.[1] ?? plain?.[2] ?? null
}

/** The last part of a path, when it looks like a file's name. */
function nameOfPath(url: string): string | null {
  const last = URL.parse(url)?.pathname.split('/').at(-1) ?? ''
  return /\.[A-Za-z0-9]{1,10}$/.test(last) ? percentDecoded(last) : null
}

function percentDecoded(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    // Not UTF-8: then it has no name that could be shown.
    return null
  }
}
