/**
 * `Idempotency-Key`: a repeated request gets the first answer again instead of a second effect (contract §1).
 *
 * A message gets an id that follows from the key and the request, so that even a repetition after a crash or a time-out
 * meets the message that is on disk already.
 */
import { AppError, fail } from '../domain/errors'
import type { Idempotency } from '../domain/idempotency'
import { asMessageId, type MessageId } from '../domain/ids'
import { sha256Hex } from '../lib/token'
import type { Caller } from './guard'

type Context = {
  request: Request
  caller: Caller
  body: unknown
  set: { status?: number | string; headers: Record<string, string | number | undefined> }
}

/**
 * Runs `run` once per key and answers with `status`, or what it says of the answer. `run` gets an id that is the same for
 * every repetition, undefined without a key; by it, it can see what an earlier run has left behind.
 */
export type Idempotent = <Answer>(
  context: Context,
  run: (id: MessageId | undefined) => Promise<Answer>,
  status: number | ((answer: Answer) => number),
) => Promise<Answer>

const KEY = /^[\x21-\x7e]{1,255}$/

/** Makes the wrapper over the store of answers. */
export function createIdempotent(store: Idempotency): Idempotent {
  return async (context, run, status) => {
    const { request, caller, body, set } = context
    const given = request.headers.get('idempotency-key')
    const finished = <Answer>(answer: Answer, of: number | ((answer: Answer) => number)): Answer => {
      set.status = typeof of === 'number' ? of : of(answer)
      return answer
    }
    if (given === null) return finished(await run(undefined), status)
    if (!KEY.test(given)) {
      throw fail('VALIDATION_ERROR', {
        in: 'headers',
        fields: [{ path: '/idempotency-key', message: 'Must have 1 to 255 visible ASCII characters' }],
      })
    }
    const { tenantId, sessionIds, by } = caller.principal
    // What others have asked for is not there for a key of some sessions.
    const key = sessionIds !== null && by.kind === 'key' ? `${by.keyId} ${given}` : given
    const requestHash = sha256Hex(
      `${request.method} ${new URL(request.url).pathname}\n${JSON.stringify(body)}`,
    )
    const found = await store.begin(tenantId, key, requestHash)
    if (found === 'reused') throw fail('IDEMPOTENCY_KEY_REUSED')
    if (found === 'in_progress') throw fail('IDEMPOTENCY_IN_PROGRESS', { retryAfter: 1 })
    if (found !== 'new') return replayed(found, set)
    try {
      const answer = finished(await run(messageIdOf(tenantId, key, requestHash)), status)
      await store.finish(tenantId, key, { status: Number(set.status), body: JSON.stringify(answer) })
      return answer
    } catch (error) {
      await settle(store, tenantId, key, error)
      throw error
    }
  }
}

/** A rejection by WhatsApp is an answer like any other; whatever else went wrong may be tried again. */
async function settle(
  store: Idempotency,
  tenantId: Caller['principal']['tenantId'],
  key: string,
  error: unknown,
) {
  if (error instanceof AppError && error.code === 'MESSAGE_REJECTED') {
    await store.finish(tenantId, key, { status: error.status, body: JSON.stringify(error.toBody()) })
  } else await store.abandon(tenantId, key)
}

function replayed<Answer>(found: { status: number; body: string }, set: Context['set']): Answer {
  set.headers['idempotency-replayed'] = 'true'
  const body = JSON.parse(found.body)
  if (found.status >= 400) throw fail(body.code, body.details, body.error)
  set.status = found.status
  return body as Answer
}

const messageIdOf = (tenantId: string, key: string, requestHash: string): MessageId =>
  idFrom(`${tenantId}\n${key}\n${requestHash}`)

/** The id of one entry of a request that makes many messages. */
export const entryId = (id: MessageId, index: number): MessageId => idFrom(`${id}\n${index}`)

/** In the form of WhatsApp Web's ids: `3EB0` and 18 hex digits. */
const idFrom = (text: string): MessageId => asMessageId(`3EB0${sha256Hex(text).slice(0, 18).toUpperCase()}`)
