/** Files written as base64 in a request: plain, URL-safe, or a data URL. */

/** `mimetype` is what a data URL declares; it is a claim, never believed. */
export type Decoded = { bytes: Uint8Array; mimetype: string | null }

const DATA_URL = /^data:([^,;]{0,127})(?:;[^,;]{1,127})*;base64,/i

/** How many bytes the text will hold once decoded, without decoding it. */
export function decodedLength(text: string): number {
  const body = text.length - (DATA_URL.exec(text.slice(0, 1024))?.[0].length ?? 0)
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return Math.floor(((body - padding) * 3) / 4)
}

/**
 * Decodes strictly (RFC 4648): one alphabet, no white space, padding whole or absent, no stray bits in the last
 * character; null when the text is anything else or empty.
 */
export function decodeBase64(text: string): Decoded | null {
  const header = DATA_URL.exec(text.slice(0, 1024))
  if (!header && text.slice(0, 5).toLowerCase() === 'data:') return null
  const body = header ? text.slice(header[0].length) : text
  if (body.length === 0 || /\s/.test(body)) return null
  const alphabet = /[-_]/.test(body) ? 'base64url' : 'base64'
  const padded = body.endsWith('=')
  if (padded ? body.length % 4 !== 0 : body.length % 4 === 1) return null
  try {
    const bytes = Uint8Array.fromBase64(body, {
      alphabet,
      lastChunkHandling: padded ? 'strict' : 'loose',
    })
    if (!padded && !sameTail(body, bytes, alphabet)) return null
    return { bytes, mimetype: header?.[1]?.toLowerCase() || null }
  } catch {
    // A character outside of the alphabet.
    return null
  }
}

/** Without padding the engine forgives stray bits in the last character; two texts would name the same file. */
function sameTail(body: string, bytes: Uint8Array, alphabet: 'base64' | 'base64url'): boolean {
  const rest = body.length % 4
  if (rest === 0) return true
  const last = bytes.subarray(bytes.length - (rest - 1)).toBase64({ alphabet, omitPadding: true })
  return last === body.slice(-rest)
}
