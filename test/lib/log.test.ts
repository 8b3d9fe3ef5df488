/** What a log line may hold: fields of a list, text without secrets, and no character that forges a line. */
import { describe, expect, test } from 'bun:test'
import { createLog, type Log } from '../../src/lib/log'
import { LOG_FIELDS, type LogFields, scrubbed } from '../../src/lib/log-fields'
import { leaksIn, secretText } from '../harness/secrets'

function logged(format: 'json' | 'pretty', write: (log: Log) => void): string {
  const lines: string[] = []
  write(createLog({ level: 'trace', format, write: (line) => lines.push(line), now: () => 0 }))
  return lines.join('\n')
}
const FORMATS = ['json', 'pretty'] as const

/** Secrets of every form that this server handles. */
const SECRETS = {
  'API key': 'wapi_k3yK3yk3yK3yk3yK3yk3yK3yk3yK3yk3yK3yAbCd',
  'webhook secret': 'whsec_c2VjaHN1bmRkcmVpc3NpZy1nZWhlaW1lLWJ5dGVz',
  token:
    'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c3JfMTIzIn0.c2lnbmF0dXJlLXRoYXQtaXMtbG9uZy1lbm91Z2g',
  'master key': 'D5FAb8Zqj5Ffr26VA+AUpc81pJ70uMvGTIeKGuTzQt8=',
  'key in hexadecimal': '9d25100c2500ea9a5932eac3033338b74eaf2227a5c54c11a571d7a27914fa16',
  'phone number': '4915731104711',
  'phone number with a plus': '+4915731104711',
  LID: '111222333444555',
  'password of a proxy': 'p4ssw0rd-of-a-proxy',
  'mail address': 'ada.lovelace@example.com',
  'secret of an address': 'token=abcdef-ghijkl',
} as const

/** How each comes into text that somebody else has written. */
const SAID: Record<keyof typeof SECRETS, string> = {
  'API key': `The key ${SECRETS['API key']} is not known`,
  'webhook secret': `signed with ${SECRETS['webhook secret']}`,
  token: `Bearer ${SECRETS.token} has ended`,
  'master key': `key: "${SECRETS['master key']}"`,
  'key in hexadecimal': `root ${SECRETS['key in hexadecimal']}`,
  'phone number': `${SECRETS['phone number']}:12@s.whatsapp.net is not there`,
  'phone number with a plus': `not on WhatsApp: ${SECRETS['phone number with a plus']}.`,
  LID: `${SECRETS.LID}@lid`,
  'password of a proxy': `connect http://ada:${SECRETS['password of a proxy']}@10.0.0.1:3128 refused`,
  'mail address': `no such user: ${SECRETS['mail address']}`,
  'secret of an address': `GET https://example.com/hook?${SECRETS['secret of an address']} failed`,
}

describe('text that comes from elsewhere', () => {
  const cases = (Object.keys(SECRETS) as (keyof typeof SECRETS)[]).flatMap((name) =>
    FORMATS.map((format) => [name, format] as const),
  )
  test.each(cases)('%s is taken out (%s)', (name, format) => {
    const secret = secretText(name, SECRETS[name])
    for (const field of ['error', 'detail', 'reason', 'stack', 'path', 'where'] as const) {
      expect(
        leaksIn(
          logged(format, (log) => log.error('Failed', { [field]: SAID[name] })),
          [secret],
        ),
      ).toEqual([])
    }
    expect(
      leaksIn(
        logged(format, (log) => log.error(SAID[name])),
        [secret],
      ),
    ).toEqual([])
    // Control: what is no text is written as it is, and then it is found.
    expect(
      leaksIn(
        logged(format, (log) => log.error('A control of this test', { part: SAID[name] })),
        [secret],
      ),
    ).not.toEqual([])
  })

  test('what helps stays', () => {
    const session = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
    const digits = '12345678901234567890123456789012'
    for (const text of [
      'ECONNREFUSED 127.0.0.1:5432',
      `session ${session} after 120000 ms`,
      `session ${digits}`,
      'at run (/app/node_modules/@whiskeysockets/baileys/lib/Socket/messages-send.js:512:33)',
      'listening on http://127.0.0.1:45145',
      'SQLITE_IOERR_SHORT_READ',
    ])
      expect(scrubbed(text)).toBe(text)
  })

  test('no text makes it slow: the work grows with the length and not with its square', () => {
    const hard = ['a', '1', 'aA', '//', 'a@', '1,', 'ab ', 'http://a', 'Bearer ']
    for (const piece of hard) expect(scrubbed(piece.repeat(100_000)).length).toBeLessThan(5_000)
  })
})

describe('fields', () => {
  test.each(FORMATS)(
    'a name that is not on the list is not written, nor is a value that is no plain one (%s)',
    (format) => {
      // @ts-expect-error: the compiler refuses the name as well.
      const unknown: LogFields = { phoneNumber: '4915731104711' }
      const stanza = { error: { tag: 'message', text: 'Meet me at midnight' } } as unknown as LogFields
      const text = logged(format, (log) => {
        log.info('One', { ...unknown, messageId: 'M1' })
        log.with({ password: 'hunter2-hunter2' } as unknown as LogFields).info('Two', stanza)
        log.info('Three', { toString: 'mine', __proto__: 'mine' } as unknown as LogFields)
      })
      expect(text).toContain('M1')
      for (const secret of [
        '4915731104711',
        'phoneNumber',
        'midnight',
        'hunter2',
        'password',
        'mine',
        '[object',
      ])
        expect(text).not.toContain(secret)
      expect(text).toContain(format === 'json' ? '"hidden":2' : 'hidden=')
    },
  )

  test('cannot take the place of the line’s own', () => {
    const line = JSON.parse(
      logged('json', (log) =>
        log.info('Right', { says: 'Wrong', level: 'wrong', time: 'never' } as unknown as LogFields),
      ),
    )
    expect(line).toEqual({ time: '1970-01-01T00:00:00.000Z', level: 'info', says: 'Right', hidden: 3 })
  })

  test('long values are cut', () => {
    const long = 'x y '.repeat(300_000)
    for (const name of Object.keys(LOG_FIELDS) as (keyof typeof LOG_FIELDS)[])
      expect(logged('json', (log) => log.info('Long', { [name]: long })).length).toBeLessThan(4_500)
  })
})

describe('characters that could forge a line or hide text', () => {
  const NASTY: readonly [string, string][] = [
    ['new line', '\n'],
    ['carriage return', '\r'],
    ['escape', '\u001b[2J'],
    ['NUL', '\u0000'],
    ['delete', '\u007f'],
    ['C1 control', '\u009b'],
    ['right-to-left override', '\u202e'],
    ['isolate', '\u2067'],
    ['Arabic letter mark', '\u061c'],
    ['zero width joiner', '\u200d'],
    ['line separator', '\u2028'],
    ['byte order mark', '\ufeff'],
    ['invisible tag', '\u{e0041}'],
    ['lone surrogate', '\ud800'],
    ['Hangul filler', '\u3164'],
  ]
  const cases = NASTY.flatMap(([name, char]) => FORMATS.map((format) => [name, format, char] as const))
  test.each(cases)('%s is shown as an escape (%s)', (_, format, char) => {
    for (const write of [
      (log: Log) => log.info('Name', { detail: `before${char}after` }),
      (log: Log) => log.info('Name', { part: `before${char}after` }),
      (log: Log) => log.info(`before${char}after`),
    ]) {
      const line = logged(format, write)
      // Of a terminal's own colours nothing but their known form is left.
      const plain = line.replace(/\u001b\[\d+m/g, '')
      expect(plain.isWellFormed()).toBe(true)
      expect(plain).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029\u3164]/u)
      expect(plain).toContain('before\\')
      if (format === 'json') expect(JSON.stringify(JSON.parse(line))).toContain('after')
    }
  })
})
