import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { WA_CERT_DETAILS } from '@whiskeysockets/baileys'
import { createLog, silentLog } from '../../src/lib/log'
import { isWhatsAppItself, TrustError, trust, WHATSAPP_ENDPOINT } from '../../src/whatsapp/baileys/trust'

const builtIn = Buffer.from(WA_CERT_DETAILS.PUBLIC_KEY)
afterEach(() => {
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(builtIn)
})

const foreign = { url: 'ws://127.0.0.1:9/ws/chat', rootKey: randomBytes(32), mediaHosts: [] }

describe('trust', () => {
  test('WhatsApp’s own endpoint has WhatsApp’s own root, and nothing can change it', () => {
    trust(WHATSAPP_ENDPOINT, silentLog)()
    expect(WA_CERT_DETAILS.PUBLIC_KEY).toEqual(builtIn)
    expect(() => trust({ ...WHATSAPP_ENDPOINT, rootKey: randomBytes(32) }, silentLog)).toThrow(TrustError)
    expect(() => trust({ ...WHATSAPP_ENDPOINT, mediaHosts: ['127.0.0.1:1'] }, silentLog)).toThrow(TrustError)
    WA_CERT_DETAILS.PUBLIC_KEY = randomBytes(32)
    expect(() => trust(WHATSAPP_ENDPOINT, silentLog)).toThrow('has been changed')
  })

  test('another endpoint’s root is set, told aloud, and put back', () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', format: 'json', write: (line) => lines.push(line), now: Date.now })
    const undo = trust(foreign, log)
    expect(WA_CERT_DETAILS.PUBLIC_KEY).toEqual(foreign.rootKey)
    expect(lines.join()).toContain('NOT WHATSAPP')
    expect(lines.join()).toContain(foreign.rootKey.toString('hex'))
    undo()
    expect(WA_CERT_DETAILS.PUBLIC_KEY).toEqual(builtIn)
    expect(() => trust({ ...foreign, rootKey: randomBytes(31) }, silentLog)).toThrow('32 bytes')
  })

  test('knows WhatsApp by its host alone', () => {
    const at = (url: string) => isWhatsAppItself({ ...foreign, url })
    expect(at('wss://web.whatsapp.com/ws/chat')).toBe(true)
    expect(at('wss://web.whatsapp.com:5222/other')).toBe(true)
    expect(at('wss://g.whatsapp.net/ws')).toBe(true)
    expect(at('wss://whatsapp.com.example.org/ws/chat')).toBe(false)
    expect(at('wss://evilwhatsapp.com/ws/chat')).toBe(false)
  })
})
