/**
 * Signatures of webhook posts, in two forms over the same bytes.
 *
 * `X-Webhook-Signature: sha256=<hex>` is the HMAC of the raw body, keyed with the secret **exactly as it was shown**,
 * prefix included, so that `createHmac('sha256', secret).update(rawBody).digest('hex')` verifies it.
 * `webhook-signature: v1,<base64>` is Standard Webhooks: the HMAC of `id.timestamp.body`, keyed with the bytes that the
 * base64 after `whsec_` stands for; a secret of another form is used as it is (the libraries call that format `raw`).
 */
import { createHmac, randomBytes } from 'node:crypto'

const PREFIX = 'whsec_'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

/** A new secret in Standard Webhooks' form: `whsec_` and 32 random bytes in base64. */
export const newWebhookSecret = (): string => PREFIX + randomBytes(32).toString('base64')

/** The key bytes of Standard Webhooks. */
export function standardKey(secret: string): Buffer {
  const encoded = secret.slice(PREFIX.length)
  return secret.startsWith(PREFIX) && encoded !== '' && BASE64.test(encoded)
    ? Buffer.from(encoded, 'base64')
    : Buffer.from(secret, 'utf8')
}

/**
 * The signing headers of one attempt; `timestamp` in seconds since the epoch. Of several secrets the first is the newest;
 * the others sign along in `webhook-signature`, whose libraries accept any of its signatures.
 */
export function sign(
  secrets: string | readonly [string, ...string[]],
  id: string,
  timestamp: number,
  body: string,
): Record<string, string> {
  const [newest, ...others] = typeof secrets === 'string' ? [secrets] : secrets
  const whole = createHmac('sha256', newest).update(body, 'utf8').digest('hex')
  const standard = [newest, ...others].map(
    (secret) =>
      `v1,${createHmac('sha256', standardKey(secret)).update(`${id}.${timestamp}.${body}`, 'utf8').digest('base64')}`,
  )
  return {
    'X-Webhook-Signature': `sha256=${whole}`,
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': standard.join(' '),
  }
}
