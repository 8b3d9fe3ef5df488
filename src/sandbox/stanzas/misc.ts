/** Small questions with small answers. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { bytesOf, child, node, result } from '../node'
import { demand } from '../refusal'
import type { Origin, World } from '../world'

/** Pings, statistics, terms, cleaned dirty bits: heard, and that is all. */
export const handleEmpty = (_world: World, _origin: Origin, request: BinaryNode): BinaryNode =>
  result(request)

/** Switches that clients obey: privacy tokens on 1:1 messages and pictures, tokens issued to phone numbers. */
const PROPS: readonly (readonly [string, string])[] = [
  ['10518', 'true'],
  ['9666', 'true'],
  ['14303', 'false'],
]
const PROPS_HASH = 'sandbox1'

/** `xmlns=abt`. */
export function handleProps(_world: World, _origin: Origin, request: BinaryNode): BinaryNode {
  const asked = child(request, 'props')?.attrs.hash
  const props = PROPS.map(([config_code, config_value]) => node('prop', { config_code, config_value }))
  const attrs = { protocol: '1', hash: PROPS_HASH, refresh: '86400' }
  return result(request, [node('props', attrs, asked === PROPS_HASH ? [] : props)])
}

/** `xmlns=w:m`: where media goes, and what to show there. */
export function handleMedia(world: World, _origin: Origin, request: BinaryNode): BinaryNode {
  const host = node('host', { hostname: world.mediaHost(), type: 'primary' })
  const attrs = { auth: world.mediaAuth, ttl: '300', auth_ttl: '21600', max_buckets: '12' }
  return result(request, [node('media_conn', attrs, [host])])
}

/** `xmlns=w:biz`: no account here is a business with a profile. */
export const handleBusiness = (_world: World, _origin: Origin, request: BinaryNode): BinaryNode =>
  result(request, [node('business_profile')])

/** Answers by the field that the query's caller reads; an account here has no restrictions. */
const MEX_DATA = {
  xwa2_fetch_account_reachout_timelock: { is_active: false },
  xwa2_message_capping_info: { total_quota: 1000, used_quota: 0, capping_status: 'NONE' },
}

/** `xmlns=w:mex`: queries by number, variables in JSON. */
export function handleMex(_world: World, _origin: Origin, request: BinaryNode): BinaryNode {
  const query = child(request, 'query')
  demand(query?.attrs.query_id !== undefined && bytesOf(query) !== undefined, 400, 'bad-request')
  return result(request, [node('result', {}, JSON.stringify({ data: MEX_DATA }))])
}
