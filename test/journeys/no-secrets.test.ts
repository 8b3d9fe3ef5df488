/** A busy life at log level trace, and not one byte of it in the log: keys, tokens, texts and phone numbers. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { leaksIn, type Secret, secretText } from '../harness/secrets'
import { startSink } from '../harness/sink'
import { vaultSecrets } from '../harness/vault-secrets'
import { API_KEY, allConnected, numberOf, pairAll, wabunGateway } from '../harness/world'

setDefaultTimeout(180_000)

const SESSIONS = 3
const PASSWORD = 'correct horse battery staple 77'
const WEBHOOK_SECRET = `whsec_${randomBytes(32).toString('base64')}`
const text = (n: number) => `confidential words number ${n} for nobody's log`

test.each(['trace', 'info'])('nothing secret is logged at level %s', async (level) => {
  const masterKey = randomBytes(32)
  const jwtSecret = randomBytes(32).toString('hex')
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const service = wabunGateway({
    sandbox,
    env: {
      LOG_LEVEL: level,
      MASTER_KEY: masterKey.toString('base64'),
      JWT_SECRET: jwtSecret,
      REGISTRATION: 'open',
    },
  })
  const output: string[] = []
  const secrets: Secret[] = [
    { name: 'master key', bytes: masterKey },
    secretText('JWT secret', jwtSecret),
    secretText('API key', API_KEY),
    secretText('password', PASSWORD),
    secretText('webhook secret', WEBHOOK_SECRET),
    { name: 'webhook key', bytes: Buffer.from(WEBHOOK_SECRET.slice(6), 'base64') },
  ]
  const numbers = Array.from({ length: SESSIONS }, (_, index) => numberOf(index, 49_157_331_0000))
  const peer = numberOf(77, 49_157_331_0000)
  for (const number of [...numbers, peer]) secrets.push(secretText('phone number', number))
  let ids: string[] = []
  try {
    await service.start()
    const account = await service.api<{ token: string; apiKey: string }>('POST', '/api/auth/register', {
      username: 'watched',
      email: 'watched@example.com',
      password: PASSWORD,
    })
    const login = await service.api<{ token: string }>('POST', '/api/auth/login', {
      username: 'watched',
      password: PASSWORD,
    })
    secrets.push(secretText('token', account.token), secretText('new API key', account.apiKey))
    secrets.push(secretText('second token', login.token))

    await sandbox.addPhone(peer)
    ids = await pairAll(service, sandbox, numbers)
    for (const id of ids)
      await service.api('PUT', `/api/webhook/config/${id}`, {
        url: sink.url,
        events: ['*'],
        secret: WEBHOOK_SECRET,
      })

    // First messages cross on purpose: libsignal then closes a session, which it likes to print.
    let said = 0
    const nextText = () => {
      const made = text(said++)
      secrets.push(secretText('message text', made))
      return made
    }
    await Promise.all(
      ids.flatMap((id, index) => [
        service.send(id, peer, nextText()),
        sandbox.say(peer, numbers[index] ?? '', nextText()),
        service.send(id, numbers[(index + 1) % SESSIONS] ?? '', nextText()),
      ]),
    )
    for (let turn = 0; turn < 4; turn++) {
      await service.send(ids[0] ?? '', peer, nextText())
      await sandbox.say(peer, numbers[0] ?? '', nextText())
    }

    // Trouble is when logs grow talkative.
    await service.call('POST', '/api/auth/login', { username: 'watched', password: `${PASSWORD} wrong` })
    await service.call('POST', '/api/messages/send/text', {
      sessionId: ids[0],
      to: 'nonsense',
      text: nextText(),
    })
    await service.call('GET', `/api/sessions/${ids[0]}`, undefined, { 'x-api-key': `${API_KEY}wrong` })
    await sandbox.fault({ kind: 'reject_messages', phoneNumber: numbers[0], code: 463, times: 1 })
    await service.call('POST', '/api/messages/send/text', { sessionId: ids[0], to: peer, text: nextText() })
    await sandbox.fault({ kind: 'corrupt_frame', phoneNumber: numbers[1] })
    await sandbox.fault({ kind: 'drop', phoneNumber: numbers[1] })
    sink.answerWith(500)
    await sandbox.say(peer, numbers[2] ?? '', nextText())
    output.push(service.child.output())
    await service.kill()
    sink.answerWith(204)
    await sandbox.say(peer, numbers[2] ?? '', nextText())
    await service.start()
    await allConnected(service, SESSIONS)
    await until('the message sent meanwhile', async () =>
      (await service.history(ids[2] ?? '')).some((message) => message.text === text(said - 1)) ? true : null,
    )
    await service.child.stop()
    output.push(service.child.output())

    const keys = await vaultSecrets(service.dataDir, masterKey, ids)
    for (const name of ['creds', 'pre-key', 'session'])
      expect(keys.filter((key) => key.name.startsWith(name)).length).toBeGreaterThan(0)
    secrets.push(...keys)

    const all = output.join('\n')
    expect(all).toContain('listening on')
    expect([...new Set(leaksIn(all, secrets))]).toEqual([])
    // Control: the same search finds any one of them when it is there.
    for (const secret of [secrets[0], secrets.at(-1)])
      if (secret)
        expect(leaksIn(`${all}\n${Buffer.from(secret.bytes).toString('hex')}`, [secret])).toHaveLength(1)
  } finally {
    await service.end()
    await sandbox.stop()
    await sink.stop()
  }
})
