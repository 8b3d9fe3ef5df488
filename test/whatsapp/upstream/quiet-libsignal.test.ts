import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  generateSignalPubKey,
  initAuthCreds,
} from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import {
  LIBSIGNAL_LINES,
  type QuietLibsignal,
  quietLibsignal,
} from '../../../src/whatsapp/baileys/upstream/quiet-libsignal'
import { memoryKeys } from '../support/memory-keys'

const KEY_MATERIAL = /privKey|rootKey|chainKey|SessionEntry/
const SOURCE = join(dirname(require.resolve('libsignal')), 'src')

let quiet: QuietLibsignal | null = null
afterEach(() => {
  quiet?.undo()
  quiet = null
})

/** Everything that `work` prints, as the terminal would show it. */
async function printedBy(work: () => Promise<void>): Promise<string> {
  const lines: string[] = []
  const spies = (['log', 'info', 'warn', 'error', 'debug'] as const).map((method) =>
    spyOn(console, method).mockImplementation((...args: unknown[]) => {
      lines.push(args.map((arg) => (typeof arg === 'string' ? arg : Bun.inspect(arg))).join(' '))
    }),
  )
  quiet = installed ? quietLibsignal() : null
  try {
    await work()
  } finally {
    quiet?.undo()
    for (const spy of spies) spy.mockRestore()
  }
  return lines.join('\n')
}
let installed = false

/** Opens a session twice, which closes the first one. */
async function openTwice(): Promise<void> {
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository(
    { creds: initAuthCreds(), keys: memoryKeys() },
    baileysLogger(silentLog),
  )
  for (let round = 0; round < 2; round += 1) {
    const identity = Curve.generateKeyPair()
    const signed = Curve.generateKeyPair()
    const publicKey = Buffer.from(generateSignalPubKey(signed.public))
    await repository.injectE2ESession({
      jid: '123@lid',
      session: {
        registrationId: 1,
        identityKey: Buffer.from(generateSignalPubKey(identity.public)),
        signedPreKey: {
          keyId: 1,
          publicKey,
          signature: Buffer.from(Curve.sign(identity.private, publicKey)),
        },
      },
    })
  }
  repository.close?.()
}

describe('libsignal on the console', () => {
  test('upstream: closing a session prints its private keys', async () => {
    installed = false
    expect(await printedBy(openTwice)).toMatch(KEY_MATERIAL)
  })

  test('nothing of it is printed, and the lines are counted', async () => {
    installed = true
    let dropped = 0
    const printed = await printedBy(async () => {
      await openTwice()
      dropped = quiet?.dropped ?? 0
    })
    expect(printed).toBe('')
    expect(dropped).toBe(1)
  })

  test('our own lines pass', async () => {
    installed = true
    expect(await printedBy(async () => console.info('Closing the server', { sessions: 3 }))).toContain(
      'Closing the server',
    )
  })

  test('a session object in any other line is dropped as well', async () => {
    installed = true
    const record: { createEntry(): object } = require('libsignal/src/session_record.js')
    expect(await printedBy(async () => console.error('look', record.createEntry()))).toBe('')
  })

  test('every line in libsignal’s source is known', () => {
    const calls = readdirSync(SOURCE)
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) => [
        ...readFileSync(join(SOURCE, file), 'utf8').matchAll(
          /^(?!\s*\/\/).*?console\.\w+\(\s*(["'`])(.*?)\1/gm,
        ),
      ])
      .filter(([line]) => !line.trimStart().startsWith('//'))
      .map((match) => match[2] ?? '')
    expect(calls.length).toBeGreaterThan(5)
    expect(calls.filter((call) => !LIBSIGNAL_LINES.some((line) => call.startsWith(line)))).toEqual([])
  })
})
