import { describe, expect, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { parseRetryAfter } from '../../src/webhooks/retry-after'
import { newWebhookSecret, sign } from '../../src/webhooks/signature'

const BODIES = [
  '{"event":"message.received","text":"hello"}',
  JSON.stringify({ text: '👩‍👩‍👧 ünïcode \u2028' }),
  JSON.stringify({ text: '\ud800 alone' }),
  JSON.stringify({ text: 'x'.repeat(20_000) }),
]
const now = () => Math.floor(Date.now() / 1000)

describe('signatures', () => {
  for (const body of BODIES) {
    test(`of ${body.slice(0, 40)} verify with plain node:crypto and with Standard Webhooks`, () => {
      const secret = newWebhookSecret()
      const headers = sign(secret, 'evt_1', now(), body)
      expect(headers['X-Webhook-Signature']).toBe(
        `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
      )
      expect(new Webhook(secret).verify(body, headers)).toEqual(JSON.parse(body))
    })
  }
  test('of another body, id, time or secret do not verify', () => {
    const secret = newWebhookSecret()
    const headers = sign(secret, 'evt_1', now(), '{"a":1}')
    const webhook = new Webhook(secret)
    expect(() => webhook.verify('{"a":2}', headers)).toThrow()
    expect(() => webhook.verify('{"a":1}', { ...headers, 'webhook-id': 'evt_2' })).toThrow()
    expect(() => webhook.verify('{"a":1}', { ...headers, 'webhook-timestamp': String(now() - 30) })).toThrow()
    expect(() => new Webhook(newWebhookSecret()).verify('{"a":1}', headers)).toThrow()
  })
  test('with a secret of the user’s own choice use its bytes as they are', () => {
    for (const secret of ['my own secret', 'whsec_not base64!', 'whsec_']) {
      const headers = sign(secret, 'evt_1', now(), '{}')
      expect(new Webhook(secret, { format: 'raw' }).verify('{}', headers)).toEqual({})
    }
  })
  test('are those of the Standard Webhooks specification’s example', () => {
    const headers = sign(
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1614265330,
      '{"test": 2432232314}',
    )
    expect(headers['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=')
  })
})

describe('Retry-After', () => {
  const at = Date.UTC(2026, 0, 1)
  test('takes seconds and dates', () => {
    expect(parseRetryAfter('120', at)).toBe(120_000)
    expect(parseRetryAfter('0', at)).toBe(0)
    expect(parseRetryAfter('Thu, 01 Jan 2026 00:01:00 GMT', at)).toBe(60_000)
    expect(parseRetryAfter('Wed, 31 Dec 2025 23:00:00 GMT', at)).toBe(0)
  })
  test('ignores everything else', () => {
    for (const junk of [null, '', 'soon', '-1', '1.5', '5 minutes', 'Someday, 99 Foo']) {
      expect(parseRetryAfter(junk, at)).toBeNull()
    }
  })
})
