/** Small questions with small answers. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { child, node, result } from '../node'
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
