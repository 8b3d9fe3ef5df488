/** Bearer tokens: HS256, 24 hours, checked against issuer, audience, type and algorithm. */
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../lib/clock'
import { randomToken, sha256Hex } from '../lib/token'

export type TokenClaims = {
  /** User id. */
  sub: string
  jti: string
  /** Of the account at the time of issue. */
  epoch: number
  /** ms */
  expiresAt: number
}

export type TokenCheck = TokenClaims | 'invalid' | 'expired'

export interface Tokens {
  issue(userId: string, epoch: number): Promise<{ token: string; claims: TokenClaims }>
  /** Judges signature and time only; revocation is the caller's to look up, each time. */
  check(token: string): Promise<TokenCheck>
}

/** How long a token is good (s). */
const LIFETIME = 86_400
const ISSUER = 'wabun'
const AUDIENCE = 'wabun-api'
/** Checking a signature costs fifty times a look at this map. */
const CACHE = 5_000
const LONGEST = 4_096
const SHORTEST_SECRET = 32

/** `secret`: at least 32 characters or bytes; throws `RangeError` otherwise. */
export function createTokens(parts: { secret: string; clock: Clock }): Tokens {
  const { secret, clock } = parts
  if (Buffer.byteLength(secret) < SHORTEST_SECRET) {
    throw new RangeError(`The token secret needs at least ${SHORTEST_SECRET} bytes`)
  }
  const plugin = jwt({ name: 'jwt', secret, alg: 'HS256', iss: ISSUER, aud: AUDIENCE }).decorator.jwt
  const checked = new Map<string, TokenClaims>()

  async function verify(token: string, at: number): Promise<TokenClaims | null> {
    const payload = await plugin.verify(token, {
      algorithms: ['HS256'],
      issuer: ISSUER,
      audience: AUDIENCE,
      typ: 'JWT',
      requiredClaims: ['sub', 'jti', 'exp'],
      currentDate: new Date(at),
    })
    if (!payload) return null
    const { sub, jti, exp, ep: epoch = 0 } = payload as Record<string, unknown>
    if (typeof sub !== 'string' || typeof jti !== 'string' || typeof exp !== 'number') return null
    return typeof epoch === 'number' ? { sub, jti, epoch, expiresAt: exp * 1_000 } : null
  }

  /** Ours say what they are and no more: nothing in a header may point to a key or a file. */
  function hasOurHeader(token: string): boolean {
    try {
      const header: unknown = JSON.parse(Buffer.from(token.split('.', 1)[0] ?? '', 'base64url').toString())
      return !!header && Object.keys(header).sort().join() === 'alg,typ'
    } catch {
      return false
    }
  }

  /** The time at which an unverified token says it ends (ms). */
  function claimedEnd(token: string): number | null {
    try {
      const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
      const exp = payload && typeof payload === 'object' && 'exp' in payload ? payload.exp : null
      return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1_000 : null
    } catch {
      return null
    }
  }

  return {
    async issue(userId, epoch) {
      const exp = Math.floor(clock.now() / 1_000) + LIFETIME
      const jti = randomToken(16)
      const token = await plugin.sign({ sub: userId, jti, exp, ep: epoch })
      return { token, claims: { sub: userId, jti, epoch, expiresAt: exp * 1_000 } }
    },
    async check(token) {
      if (token.length > LONGEST) return 'invalid'
      const now = clock.now()
      const key = sha256Hex(token)
      const known = checked.get(key)
      if (known) return known.expiresAt > now ? known : 'expired'
      if (!hasOurHeader(token)) return 'invalid'
      const claims = await verify(token, now)
      if (claims) {
        if (checked.size >= CACHE) checked.clear()
        checked.set(key, claims)
        return claims
      }
      // The plugin gives no reason; a token that was good just before its end has expired.
      const end = claimedEnd(token)
      if (end === null || end > now || end < 0) return 'invalid'
      return (await verify(token, end - 1_000)) ? 'expired' : 'invalid'
    },
  }
}
