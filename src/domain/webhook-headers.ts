/** Which headers an endpoint may have of its own. */

/** Most headers of an endpoint. */
export const MAX_HEADERS = 20
const MAX_VALUE = 1_024
/** A token of HTTP. */
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
const VISIBLE = /^[\x20-\x7e]*$/
/** Headers of the connection, of the body, and those by which a receiver tells that a post is ours. */
const RESERVED =
  /^(?:host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect|via|content-.*|accept-encoding|user-agent|x-webhook-.*|webhook-.*)$/

/** What is wrong with them, or null: `name` is the header that it is about, null for all of them. */
export function headersProblem(
  headers: Readonly<Record<string, string>>,
): { name: string | null; says: string } | null {
  const seen = new Set<string>()
  for (const [name, value] of Object.entries(headers)) {
    const key = name.toLowerCase()
    if (!NAME.test(name)) return { name, says: 'Not the name of a header' }
    if (RESERVED.test(key)) return { name, says: 'This header cannot be set' }
    if (seen.has(key)) return { name, says: 'Given twice' }
    if (value.length > MAX_VALUE || !VISIBLE.test(value)) {
      return { name, says: `Must have at most ${MAX_VALUE} visible ASCII characters` }
    }
    seen.add(key)
  }
  return seen.size > MAX_HEADERS ? { name: null, says: `At most ${MAX_HEADERS} headers` } : null
}
