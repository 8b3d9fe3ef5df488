/** The configuration: defaults, sources, problems, and what is never printed. */
import { describe, expect, test } from 'bun:test'
import {
  CONFIG_KEYS,
  ConfigError,
  isSecret,
  loadConfig,
  readConfig,
  shownValue,
  variableOf,
} from '../src/config'

const problemsOf = (env: Record<string, string>, flags: Record<string, string | true> = {}) =>
  readConfig({ env, flags }).problems.map(({ name }) => name)

describe('sources', () => {
  test('nothing given: the defaults of the contract', () => {
    const config = loadConfig({ env: {} })
    expect(config).toMatchObject({
      host: '127.0.0.1',
      port: 3000,
      registration: 'first',
      defaultPlan: 'free',
      sandbox: false,
      logLevel: 'info',
      qrMaxWindows: 1,
      whatsappUrl: null,
    })
    expect(config.dataDir).toEndWith('/data')
  })

  test('a flag wins over the prefixed variable, that over the plain one', () => {
    const env = { PORT: '1', WABUN_PORT: '2' }
    expect(readConfig({ env }).config.port).toBe(2)
    expect(readConfig({ env }).sources.port).toBe('WABUN_PORT')
    const both = readConfig({ env, flags: { '--port': '3' } })
    expect([both.config.port, both.sources.port]).toEqual([3, '--port'])
    expect(readConfig({ env: { PORT: '1' } }).config.port).toBe(1)
  })

  test('an empty variable is none', () => {
    expect(readConfig({ env: { PORT: ' ' } }).config.port).toBe(3000)
  })

  test('lists and switches', () => {
    const { config } = readConfig({
      env: { TRUSTED_PROXIES: '10.0.0.0/8, ::1', SANDBOX: 'yes' },
      flags: { '--webhook-allow-insecure': true },
    })
    expect(config.trustedProxies).toEqual(['10.0.0.0/8', '::1'])
    expect([config.sandbox, config.webhookAllowInsecure]).toEqual([true, true])
  })
})

describe('problems', () => {
  test('unknown names with our prefix and unknown flags, with the likely one', () => {
    const { problems } = readConfig({ env: { WABUN_PROT: '1' }, flags: { '--hots': 'x' } })
    expect(problems).toEqual([
      { name: 'WABUN_PROT', says: 'There is no such setting; did you mean WABUN_PORT?' },
      { name: '--hots', says: 'There is no such flag; did you mean --host?' },
    ])
    expect(problemsOf({ PATH: '/bin', SOMETHING_ELSE: 'x' })).toEqual([])
  })

  test.each([
    [{ PORT: '65536' }, 'PORT'],
    [{ PORT: '0x10' }, 'PORT'],
    [{ SANDBOX: 'maybe' }, 'SANDBOX'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL'],
    [{ API_KEY: 'short' }, 'API_KEY'],
    [{ JWT_SECRET: 'short' }, 'JWT_SECRET'],
    [{ MASTER_KEY: 'abc' }, 'MASTER_KEY'],
    [{ MASTER_KEY: Buffer.alloc(32).toString('base64'), MASTER_KEY_FILE: '/x' }, 'MASTER_KEY_FILE'],
    [{ TRUSTED_PROXIES: '10.0.0.0/33' }, 'TRUSTED_PROXIES'],
    [{ CORS_ORIGINS: '*' }, 'CORS_ORIGINS'],
    [{ CORS_ORIGINS: 'https://a.example/path' }, 'CORS_ORIGINS'],
    [{ WHATSAPP_URL: 'http://127.0.0.1' }, 'WHATSAPP_URL'],
    [{ WHATSAPP_ROOT_KEY: 'ab'.repeat(32) }, 'WHATSAPP_ROOT_KEY'],
    [
      { WHATSAPP_URL: 'wss://web.whatsapp.com/ws/chat', WHATSAPP_ROOT_KEY: 'ab'.repeat(32) },
      'WHATSAPP_ROOT_KEY',
    ],
    [{ WHATSAPP_URL: 'ws://127.0.0.1:1/', WHATSAPP_ROOT_KEY: 'xyz' }, 'WHATSAPP_ROOT_KEY'],
    [{ WHATSAPP_MEDIA_HOSTS: 'localhost:1' }, 'WHATSAPP_MEDIA_HOSTS'],
    [{ SANDBOX: 'true', WHATSAPP_URL: 'ws://127.0.0.1:1/' }, 'SANDBOX'],
    [{ WA_VERSION: 'newest' }, 'WA_VERSION'],
    [{ QR_MAX_WINDOWS: '0' }, 'QR_MAX_WINDOWS'],
  ] as [Record<string, string>, string][])('%j', (env, name) => {
    expect(problemsOf(env)).toEqual([name])
  })

  test('control: the same in order', () => {
    expect(
      problemsOf({
        WHATSAPP_URL: 'ws://127.0.0.1:1/ws/chat',
        WHATSAPP_ROOT_KEY: 'ab'.repeat(32),
        WHATSAPP_MEDIA_HOSTS: 'localhost:8443,[::1]:1',
        CORS_ORIGINS: 'https://a.example',
        API_KEY: 'x'.repeat(32),
        WA_VERSION: '2.3000.1',
      }),
    ).toEqual([])
  })

  test('all of them are told at once', () => {
    expect(() => loadConfig({ env: { PORT: 'x', API_KEY: 'y' } })).toThrow(ConfigError)
    expect(problemsOf({ PORT: 'x', API_KEY: 'y' })).toEqual(['PORT', 'API_KEY'])
  })
})

test('secrets are not shown, and every secret is known as one', () => {
  const env = {
    API_KEY: 'k'.repeat(40),
    JWT_SECRET: 'j'.repeat(40),
    MASTER_KEY: Buffer.alloc(32, 7).toString('base64'),
    MASTER_KEY_NEXT: Buffer.alloc(32, 8).toString('base64'),
  }
  const { config } = readConfig({ env })
  const shown = CONFIG_KEYS.map((key) => shownValue(key, config)).join('\n')
  for (const secret of Object.values(env)) expect(shown).not.toContain(secret)
  expect(CONFIG_KEYS.filter(isSecret).map(variableOf)).toEqual([
    'MASTER_KEY',
    'MASTER_KEY_NEXT',
    'JWT_SECRET',
    'API_KEY',
  ])
})

test('the retention of events is given in days, with or without the unit', () => {
  const days = (text: string) => readConfig({ env: { RETENTION_EVENTS: text } }).config.retentionEvents
  expect([days('7'), days('7d'), days('7 d')]).toEqual([7, 7, 7])
  expect(problemsOf({ RETENTION_EVENTS: '7 w' })).toEqual(['RETENTION_EVENTS'])
})
