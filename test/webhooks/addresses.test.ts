import { describe, expect, test } from 'bun:test'
import type { AddressPolicy } from '../../src/lib/addresses'
import { checkWebhookUrl } from '../../src/webhooks/target'
import { FORBIDDEN_URLS } from '../lib/forbidden-urls'

const STRICT: AddressPolicy = { allowInsecure: false, allowNetworks: [] }
const LOCAL: AddressPolicy = { allowInsecure: true, allowNetworks: [] }

describe('URLs as text', () => {
  const REFUSED = [...FORBIDDEN_URLS, 'http://example.com/']
  for (const url of REFUSED) {
    test(`${url.slice(0, 50)} is refused`, () => {
      let refusal: unknown
      try {
        checkWebhookUrl(url, STRICT)
      } catch (error) {
        refusal = error
      }
      expect(refusal).toMatchObject({
        code: 'WEBHOOK_URL_FORBIDDEN',
        status: 400,
        message: 'This webhook URL is not allowed',
      })
    })
  }

  for (const url of ['https://example.com/hook?a=1', 'https://example.com:8443/', 'https://8.8.8.8/x']) {
    test(`${url} is accepted`, () => expect(() => checkWebhookUrl(url, STRICT)).not.toThrow())
  }
  for (const url of [
    'http://127.0.0.1:3000/',
    'http://localhost:9999/',
    'http://[::1]/',
    'http://n8n:5678/',
  ]) {
    test(`${url} is accepted for local use`, () => {
      expect(() => checkWebhookUrl(url, LOCAL)).not.toThrow()
    })
  }
  for (const url of [
    'http://169.254.169.254/',
    'http://0.0.0.0/',
    'http://[fe80::1]/',
    'http://localhost:22/',
  ]) {
    test(`${url} is refused even for local use`, () => expect(() => checkWebhookUrl(url, LOCAL)).toThrow())
  }
})
