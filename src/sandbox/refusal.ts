/** How the server says no. */

/** A request that is answered with an error: `code` as on the wire, `text` for the reader of the log. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  constructor(
    readonly code: number,
    readonly text: string,
  ) {
    super(`${code} ${text}`)
  }
}

/** A stanza so broken that there is nothing to answer; the stream ends with it. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

/** A phone's grant that was not accepted, or a companion that did not answer it. */
export class LinkRefused extends Error {
  override readonly name = 'LinkRefused'
}

/** Throws unless `fact` holds. */
export function demand(fact: unknown, code: number, text: string): asserts fact {
  if (!fact) throw new Refusal(code, text)
}
