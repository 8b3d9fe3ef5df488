/**
 * A busy life at log level trace, and not one byte of it in what the process writes or answers to a request that failed:
 * keys, tokens, passwords, codes, texts, names and numbers.
 */
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
/** What is said, set and sent beside texts; each is searched for under its name. */
const PLANTED = {
  caption: 'a caption that is nobody’s business',
  'name of a file': 'divorce-papers-final-version.txt',
  'bytes of a file': 'The parties agree to disagree about everything',
  'name on a card': 'Leopoldine Confidential',
  'number on a card': '4917699988877',
  'question of a poll': 'Whom do we fire on Monday',
  'option of a poll': 'The one from the third floor',
  'name of a place': 'Back yard of the bakery',
  'text after an edit': 'what was meant by it is secret as well',
  'name of a session': 'Kontor Sevensleepers',
  'header of a webhook': 'header-value-that-nobody-knows',
  'path of a webhook': 'hooks-with-a-secret-path',
  'password of a proxy': 'never-in-plain-sight-99',
  'user of a proxy': 'passing-through-user',
  'idempotency key': 'once-and-never-again-4711',
  cookie: 'cookie-value-of-a-browser-123',
  'second password': 'Incorrect horse battery 78!',
  'mail address': 'watched.person@example.com',
  'wrong API key': 'wapi_wrong-key-that-somebody-tried-0123',
  'key in the query': 'key-that-stood-in-a-query-0815',
} as const
const text = (n: number) => `confidential words number ${n} for nobody's log`

test.each(['json', 'pretty'])('nothing secret is written or answered, logs as %s', async (format) => {
  const masterKey = randomBytes(32)
  const jwtSecret = randomBytes(32).toString('hex')
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const noProxy = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: () => new Response(null, { status: 407 }),
  })
  const service = wabunGateway({
    sandbox,
    env: {
      LOG_LEVEL: 'trace',
      LOG_FORMAT: format,
      PROXY_ALLOW_NETWORKS: '127.0.0.0/8',
      AUTH_ATTEMPTS: '0',
      MASTER_KEY: masterKey.toString('base64'),
      JWT_SECRET: jwtSecret,
      REGISTRATION: 'open',
    },
  })
  const output: string[] = []
  /** Bodies and headers of answers to requests that failed. */
  const refusals: string[] = []
  const refused = async (...given: Parameters<typeof service.call>) => {
    const answer = await service.call(...given)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    refusals.push(`${JSON.stringify([...answer.headers])} ${await answer.text()}`)
  }
  const secrets: Secret[] = [
    { name: 'master key', bytes: masterKey },
    secretText('JWT secret', jwtSecret),
    secretText('API key', API_KEY),
    secretText('password', PASSWORD),
    secretText('webhook secret', WEBHOOK_SECRET),
    { name: 'webhook key', bytes: Buffer.from(WEBHOOK_SECRET.slice(6), 'base64') },
    ...Object.entries(PLANTED).map(([name, planted]) => secretText(name, planted)),
  ]
  const numbers = Array.from({ length: SESSIONS }, (_, index) => numberOf(index, 49_157_331_0000))
  const peer = numberOf(77, 49_157_331_0000)
  const coded = numberOf(88, 49_157_331_0000)
  for (const number of [...numbers, peer, coded]) secrets.push(secretText('phone number', number))
  let ids: string[] = []
  try {
    await service.start()
    const account = await service.api<{ token: string; apiKey: string }>('POST', '/api/auth/register', {
      username: 'watched',
      email: PLANTED['mail address'],
      password: PASSWORD,
    })
    const login = await service.api<{ token: string }>('POST', '/api/auth/login', {
      username: 'watched',
      password: PASSWORD,
    })
    secrets.push(secretText('token', account.token), secretText('new API key', account.apiKey))
    secrets.push(secretText('second token', login.token))

    await sandbox.addPhone(peer)
    await sandbox.addPhone(coded)
    ids = await pairAll(service, sandbox, numbers)
    for (const id of ids)
      await service.api('PUT', `/api/webhook/config/${id}`, {
        url: `${sink.url}${PLANTED['path of a webhook']}`,
        events: ['*'],
        secret: WEBHOOK_SECRET,
        headers: { 'x-authorization': PLANTED['header of a webhook'] },
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

    // Content of other types, and what is set beside it.
    const send = (type: string, body: object, headers = {}) =>
      service.api<{ messageId: string }>(
        'POST',
        `/api/messages/send/${type}`,
        { sessionId: ids[0], to: peer, ...body },
        headers,
      )
    const once = { 'idempotency-key': PLANTED['idempotency key'] }
    const { messageId: targetMessageId } = await send('text', { text: nextText() }, once)
    await send('edit', { targetMessageId, text: PLANTED['text after an edit'] })
    await send('document', {
      documentBase64: Buffer.from(PLANTED['bytes of a file']).toString('base64'),
      filename: PLANTED['name of a file'],
      caption: PLANTED.caption,
    })
    await send('contact', {
      contact: { fullName: PLANTED['name on a card'], phoneNumber: `+${PLANTED['number on a card']}` },
    })
    await send('poll', {
      question: PLANTED['question of a poll'],
      options: [PLANTED['option of a poll'], 'No'],
    })
    await send('location', { latitude: 1, longitude: 2, name: PLANTED['name of a place'] })
    const { ticket } = await service.api<{ ticket: string }>('POST', '/api/auth/ticket')
    secrets.push(secretText('ticket', ticket))
    const changed = await service.call(
      'POST',
      '/api/auth/change-password',
      { currentPassword: PASSWORD, newPassword: PLANTED['second password'] },
      { 'x-api-key': '', authorization: `Bearer ${login.token}` },
    )
    expect(changed.status).toBe(200)
    const proxied = await service.api<{ session: { id: string } }>('POST', '/api/sessions', {
      name: PLANTED['name of a session'],
      settings: {
        proxyUrl: `http://${PLANTED['user of a proxy']}:${PLANTED['password of a proxy']}@127.0.0.1:${noProxy.port}`,
      },
    })
    await service.api('POST', `/api/sessions/${proxied.session.id}/start`)
    await until('a connection through what is no proxy', async () => {
      const diagnosis = await service.api('GET', `/api/sessions/${proxied.session.id}/diagnosis`)
      return JSON.stringify(diagnosis).includes('proxy_failed') ? true : null
    })
    await service.api('POST', `/api/sessions/${proxied.session.id}/stop`)
    const linking = await service.api<{ session: { id: string } }>('POST', '/api/sessions', {
      name: 'Linking',
    })
    await service.api('POST', `/api/sessions/${linking.session.id}/start`)
    secrets.push(secretText('QR code', await service.qrOf(linking.session.id)))
    const { code } = await service.api<{ code: string }>(
      'POST',
      `/api/sessions/${linking.session.id}/pairing-code`,
      { phoneNumber: coded },
    )
    secrets.push(secretText('pairing code', code), secretText('pairing code, joined', code.replace('-', '')))

    // Trouble is when logs grow talkative.
    await refused('POST', '/api/auth/login', { username: 'watched', password: `${PASSWORD} wrong` })
    await refused('POST', '/api/messages/send/text', { sessionId: ids[0], to: 'nonsense', text: nextText() })
    await refused('POST', '/api/messages/send/text', {
      sessionId: ids[0],
      to: peer,
      text: nextText(),
      more: nextText(),
    })
    await refused('POST', '/api/messages/send/text', { sessionId: ids[0], to: peer, text: nextText() }, once)
    await refused('GET', `/api/sessions/${ids[0]}`, undefined, {
      'x-api-key': PLANTED['wrong API key'],
      cookie: `session=${PLANTED.cookie}`,
    })
    await refused('GET', `/api/sessions/none?apiKey=${PLANTED['key in the query']}`, undefined, {
      cookie: `session=${PLANTED.cookie}`,
    })
    await refused('GET', `/api/sessions`, undefined, {
      'x-api-key': '',
      authorization: `Bearer ${login.token}x`,
    })
    await refused('PUT', `/api/webhook/config/${ids[0]}`, {
      url: `http://ada:${PLANTED['password of a proxy']}@169.254.169.254/${PLANTED['path of a webhook']}`,
      secret: WEBHOOK_SECRET,
    })
    await sandbox.fault({ kind: 'reject_messages', phoneNumber: numbers[0], code: 463, times: 1 })
    await refused('POST', '/api/messages/send/text', { sessionId: ids[0], to: peer, text: nextText() })
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
    expect(new Set(secrets.map(({ name }) => name)).size).toBeGreaterThan(30)
    expect([...new Set(leaksIn(all, secrets))]).toEqual([])
    expect([...new Set(leaksIn(refusals.join('\n'), secrets))]).toEqual([])
    // Control: the same search finds any one of them when it is there.
    for (const secret of [secrets[0], secrets[30], secrets.at(-1)])
      if (secret)
        expect(leaksIn(`${all}\n${Buffer.from(secret.bytes).toString('hex')}`, [secret])).toHaveLength(1)
  } finally {
    await service.end()
    await sandbox.stop()
    await sink.stop()
    await noProxy.stop(true)
  }
})
