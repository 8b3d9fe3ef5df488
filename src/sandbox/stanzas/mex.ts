/** `xmlns=w:mex`: GraphQL by query number, variables in JSON, the answer in JSON too. */
import { type BinaryNode, QueryIds, XWAPaths } from '@whiskeysockets/baileys'
import { capInfo, timeLock } from '../limits'
import { bytesOf, child, node, result } from '../node'
import { demand, Refusal } from '../refusal'
import { entryOf } from '../table'
import type { Origin, World } from '../world'
import { CHANNEL_QUERIES } from './channel-mex'

/** One query: the field its answer stands under, and the answer. Throws a `Refusal` for GraphQL's own errors. */
export type MexStep = { path: string; answer(world: World, origin: Origin, variables: Variables): unknown }
export type Variables = Record<string, unknown>

const QUERIES: Record<string, MexStep> = {
  ...CHANNEL_QUERIES,
  [QueryIds.REACHOUT_TIMELOCK]: {
    path: XWAPaths.xwa2_fetch_account_reachout_timelock,
    answer: (world, { device }) => timeLock(world, device.account),
  },
  [QueryIds.MESSAGE_CAPPING_INFO]: {
    path: XWAPaths.xwa2_message_capping_info,
    answer: (world, { device }) => capInfo(world, device.account),
  },
}

/** Answers a query; what goes wrong inside it is told in the answer, as GraphQL does. */
export function handleMex(world: World, origin: Origin, request: BinaryNode): BinaryNode {
  const query = child(request, 'query')
  const variables = variablesOf(query)
  demand(query?.attrs.query_id !== undefined && variables !== undefined, 400, 'bad-request')
  const told = run(world, origin, query.attrs.query_id, variables)
  return result(request, [node('result', {}, JSON.stringify(told))])
}

function run(world: World, origin: Origin, id: string, variables: Variables): object {
  try {
    const step = entryOf(QUERIES, id)
    if (step === undefined) throw new Refusal(400, 'unknown query')
    return { data: { [step.path]: step.answer(world, origin, variables) } }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const extensions = { error_code: error.code, is_retryable: false, severity: 'CRITICAL' }
    return { data: null, errors: [{ message: error.text, extensions }] }
  }
}

function variablesOf(query: BinaryNode | undefined): Variables | undefined {
  try {
    const { variables } = JSON.parse(bytesOf(query)?.toString() ?? '')
    return typeof variables === 'object' && variables !== null ? variables : undefined
  } catch {
    return undefined
  }
}
