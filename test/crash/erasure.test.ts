/**
 * A session is deleted while people write to it, and it to them: nothing is posted after `session.deleted`, and nothing of
 * it is found in any file of the service or in what it has logged. Its content is not sealed, so that the search can find.
 */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { formsInBytes, leaksIn, type Secret, secretText } from '../harness/secrets'
import { startSink } from '../harness/sink'
import { vaultSecrets } from '../harness/vault-secrets'
import { numberOf, pairAll, wabunGateway } from '../harness/world'

setDefaultTimeout(240_000)

const masterKey = randomBytes(32)
/** What is said again and again, in the words of which nothing may be left. */
const HEARD = [
  'Am Brunnen wartet die Laternenfrau',
  'Sieben Zwetschgen für den Torwächter',
  'Der Kahn legt um halb vier ab',
  'Gib dem Müller den grünen Schlüssel',
  'Unter der dritten Diele liegt der Brief',
  'Der Hahn kräht heute rückwärts',
]
const SAID = [
  'Die Parole heisst Holunderkompott',
  'Niemand weiss vom Gang unter der Mühle',
  'Morgen kommt der Scherenschleifer',
  'Acht Laib Brot für die Wachen',
]
const QUESTION = 'Wer hat den Schimmel gesattelt'
const CAPTION = 'Ein Bild von der Rückseite des Mondes'
const HEADER = 'Bearer kopfzeile-die-niemand-kennt'
const SECRET = `whsec_${Buffer.from('sechsunddreissig-geheime-bytes!!').toString('base64')}`
const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8/5+hHgAHggJ/PchI7wAAAABJRU5ErkJggg=='

function found(dataDir: string, secrets: readonly Secret[]): string[] {
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  )
  return files.flatMap((entry) => {
    const bytes = readFileSync(join(entry.parentPath, entry.name))
    return secrets.flatMap((secret) =>
      formsInBytes(bytes, secret).map((form) => `${secret.name} (${form}) in ${entry.name}`),
    )
  })
}

test('a session that is deleted under traffic leaves no word and says no more', async () => {
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const [us = '', other = '', ...peers] = [0, 1, 2, 3, 4].map((index) => numberOf(index))
  const [peer = ''] = peers
  for (const number of peers) await sandbox.addPhone(number, `Unverwechselbar ${number}`)
  const wabun = wabunGateway({
    sandbox,
    env: { LOG_LEVEL: 'trace', MASTER_KEY: masterKey.toString('base64') },
  })
  let logged = ''
  let isOver = false
  try {
    await wabun.start()
    const [id = '', bystander = ''] = await pairAll(wabun, sandbox, [us, other])
    for (const each of [id, bystander])
      await wabun.api('PUT', `/api/sessions/${each}/settings`, {
        settings: { webhookUrl: sink.url, enableEncryption: false },
      })
    await wabun.api('PUT', `/api/webhook/config/${id}`, {
      url: sink.url,
      secret: SECRET,
      headers: { 'x-authorization': HEADER },
    })
    await wabun.child.stop()
    logged += wabun.child.output()
    const keys = await vaultSecrets(wabun.dataDir, masterKey, [id])
    for (const name of ['creds', 'pre-key']) expect(keys.some((key) => key.name.startsWith(name))).toBe(true)
    await wabun.start()
    await until('both connected', async () => ((await wabun.connected()) === 2 ? true : null))

    let heard = 0
    let answered = 0
    const talk = async () => {
      while (!isOver) {
        const orders = peers.flatMap((from) =>
          HEARD.map((text) => ({ from, to: us, text: `${text} ${heard++}` })),
        )
        await sandbox.burst([
          ...orders,
          { from: peer, to: us, content: { type: 'poll', question: QUESTION, options: ['I', 'you'] } },
          {
            from: peer,
            to: us,
            content: { type: 'image', base64: PIXEL, mimetype: 'image/png', caption: CAPTION },
          },
        ])
      }
    }
    const answer = async (to: string) => {
      for (let n = 0; !isOver; n++) {
        const text = `${SAID[n % SAID.length]} ${n}`
        const key = { 'idempotency-key': `einmalig-${to}-${n}` }
        const response = await wabun.call(
          'POST',
          '/api/messages/send/text',
          { sessionId: id, to, text, queue: true },
          key,
        )
        if (response.ok) answered += 1
        await response.arrayBuffer()
      }
    }
    const traffic = [talk(), ...peers.map(answer)]
    const postsOf = (session: string) => sink.deliveries.filter(({ sessionId }) => sessionId === session)
    await until('traffic both ways', () => (postsOf(id).length > 150 && answered > 30 ? true : null))

    const secrets: Secret[] = [
      ...[...HEARD, ...SAID, QUESTION, CAPTION, HEADER, SECRET].map((text) => secretText(text, text)),
      ...peers.map((number) => secretText(`name of ${number}`, `Unverwechselbar ${number}`)),
      ...[us, ...peers].map((number) => secretText(`number ${number}`, number)),
      secretText('an idempotency key', `einmalig-${peer}-1`),
      ...keys.slice(0, 60),
    ]
    const named = (hits: readonly string[]) => new Set(hits.map((hit) => hit.replace(/ \(.*/, '')))
    // Control: what is not sealed is found as long as the session is there.
    const before = named(found(wabun.dataDir, secrets))
    for (const text of [...HEARD, ...SAID, QUESTION, CAPTION, us])
      expect(before).toContain(text === us ? `number ${us}` : text)
    for (const text of [HEADER, SECRET]) expect(before).not.toContain(text)

    await wabun.api('DELETE', `/api/sessions/${id}`)
    const refused = await wabun.call('POST', '/api/messages/send/text', {
      sessionId: id,
      to: peer,
      text: 'x',
    })
    expect(refused.status).toBe(404)
    // The world goes on writing for a while, and the other session hears it.
    const more = heard + 200
    await until('more traffic', () => (heard > more ? true : null))
    isOver = true
    await Promise.all(traffic)
    const fence = await sandbox.say(peer, other, 'a word for the other session')
    await until('the end of it', () =>
      postsOf(id).some(({ event }) => event === 'session.deleted') &&
      sink.deliveries.some(({ messageId }) => messageId === fence)
        ? true
        : null,
    )
    expect(postsOf(id).filter(({ event }) => event === 'session.deleted')).toHaveLength(1)
    expect(postsOf(id).at(-1)?.event).toBe('session.deleted')

    // Rows go in pieces; what is still there after a while stays.
    const left = secrets.filter(({ name }) => !peers.some((number) => name.endsWith(number)))
    const gone = async () => (found(wabun.dataDir, left).length === 0 ? true : null)
    await until('nothing to be found', gone, 60_000, 200).catch(() => undefined)
    expect(found(wabun.dataDir, left)).toEqual([])
    await wabun.child.stop()
    expect(found(wabun.dataDir, left)).toEqual([])
    logged += wabun.child.output()
    expect(leaksIn(logged, secrets)).toEqual([])
    expect(postsOf(id).at(-1)?.event).toBe('session.deleted')
  } finally {
    isOver = true
    await wabun.end()
    await sink.stop()
    await sandbox.stop()
  }
})
