/** Looks for secrets in what a process has written, in every form in which bytes end up in logs. */

/** A secret and the name under which a finding is told; the bytes of texts are their UTF-8. */
export type Secret = { name: string; bytes: Uint8Array }

export const secretText = (name: string, text: string): Secret => ({ name, bytes: Buffer.from(text, 'utf8') })

/** Fewer bytes would be found by chance. */
const SHORTEST = 6

/**
 * The five forms: as it is, hexadecimal (joined or spaced), base64 (also base64url), decimal lists (as arrays and
 * typed arrays print), and escaped or percent-encoded text.
 */
const FORMS: Record<string, (bytes: Buffer) => string[]> = {
  plain: (bytes) => [bytes.toString('latin1'), bytes.toString('utf8')],
  hex: (bytes) => {
    const hex = bytes.toString('hex')
    const spaced = (hex.match(/../g) ?? []).join(' ')
    return [hex, hex.toUpperCase(), spaced, spaced.toUpperCase()]
  },
  base64: (bytes) => {
    // In a longer value it may begin at any byte of a group of three, and whole groups alone look the same then.
    const inner = [0, 1, 2].map((skipped) => {
      const length = Math.floor((bytes.length - skipped) / 3) * 3
      return bytes.subarray(skipped, skipped + length)
    })
    return inner.flatMap((part) => [part.toString('base64'), part.toString('base64url')])
  },
  decimal: (bytes) => [bytes.join(','), bytes.join(', ')],
  escaped: (bytes) => {
    const text = bytes.toString('utf8')
    return text.includes('�') ? [] : [JSON.stringify(text).slice(1, -1), encodeURIComponent(text)]
  },
}

const searchable = (output: string): string[] => [output, output.replace(/\s+/g, ' ')]

function formsFound(texts: readonly string[], secret: Secret): string[] {
  if (secret.bytes.length < SHORTEST) throw new Error(`${secret.name} is too short to be searched for`)
  const bytes = Buffer.from(secret.bytes)
  const found = (written: string) =>
    written.length >= SHORTEST && texts.some((text) => text.includes(written))
  return Object.entries(FORMS).flatMap(([form, write]) => (write(bytes).some(found) ? [form] : []))
}

/** The names of forms in which `secret` occurs in `output`; printed arrays may be broken into lines. */
export const formsIn = (output: string, secret: Secret): string[] => formsFound(searchable(output), secret)

/** The same in bytes of any kind, as they lie in a file. */
export const formsInBytes = (bytes: Buffer, secret: Secret): string[] =>
  formsFound([bytes.toString('latin1')], secret)

/** One line per finding. Never shows the secret. */
export function leaksIn(output: string, secrets: readonly Secret[]): string[] {
  const texts = searchable(output)
  return secrets.flatMap((secret) => formsFound(texts, secret).map((form) => `${secret.name} (${form})`))
}
