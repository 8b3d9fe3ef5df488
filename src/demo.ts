/**
 * `wabun demo`: the whole round trip, told as it happens. Real server, real WebSocket, real webhook receiver, and a
 * simulated phone of the sandbox; everything lives in a directory of its own that is removed at the end.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, createApp } from './app'
import { loadConfig } from './config'
import { createApiClient } from './demo/client'
import { createReceiver, type Receiver } from './demo/receiver'
import { createStory, type Story } from './demo/story'
import { watchStream } from './demo/stream-watch'
import { systemClock } from './lib/clock'
import { createLog } from './lib/log'
import { randomToken } from './lib/token'

export type DemoOptions = {
  /** End after the round trip instead of staying up. */
  once: boolean
  write?: (text: string) => void
}

const PHONE = { phoneNumber: '491700000001', name: 'Ada (your phone)' }
const FRIEND = { phoneNumber: '491700000002', name: 'Bob (a friend)' }
const QUESTION = 'Hello Bob, this message left through Wabun.'
const REPLY = 'Hello! It arrived, and here is my answer.'

/** Runs the demo; resolves with the exit code: 0 only when every step has happened. */
export async function demo({
  once,
  write = (text) => process.stdout.write(text),
}: DemoOptions): Promise<number> {
  const story = createStory(write)
  const ending: (() => Promise<void> | void)[] = []
  const end = async () => {
    for (const each of ending.reverse()) await each()
  }
  try {
    const dataDir = mkdtempSync(join(tmpdir(), 'wabun-demo-'))
    ending.push(() => rmSync(dataDir, { recursive: true, force: true }))
    const stage = await raiseCurtain(story, dataDir, ending)
    await play(story, stage)
    story.done('The round trip is complete.')
    if (!once) await stayUp(story, stage)
    await end()
    return 0
  } catch (error) {
    story.failed(error)
    await end()
    return 1
  }
}

type Stage = { app: App; apiKey: string; receiver: Receiver; sessionId: string }

/** Server with sandbox, and a webhook receiver. */
async function raiseCurtain(
  story: Story,
  dataDir: string,
  ending: (() => Promise<void> | void)[],
): Promise<Stage> {
  const apiKey = `wapi_${randomToken(32)}`
  const receiver = createReceiver()
  ending.push(receiver.stop)
  const app = await story.step('Starting the server, with a simulated WhatsApp inside', async () => {
    const config = loadConfig({
      env: {},
      flags: {
        '--port': '0',
        '--data-dir': dataDir,
        '--sandbox': true,
        '--api-key': apiKey,
        '--webhook-allow-insecure': true,
        '--webhook-allow-networks': '127.0.0.0/8',
      },
    })
    const quiet = createLog({
      level: 'error',
      format: 'pretty',
      write: (line) => story.note(line),
      now: systemClock.now,
    })
    const made = await createApp(config, { log: quiet })
    await made.start()
    return made
  })
  ending.push(() => app.stop())
  story.fact(`listening on ${app.url}`)
  return { app, apiKey, receiver, sessionId: '' }
}

async function play(story: Story, stage: Stage): Promise<void> {
  const { app, apiKey, receiver } = stage
  const api = createApiClient(app.url, apiKey)
  await story.step('Switching on two sandbox phones', async () => {
    await api('POST', '/sandbox/phones', PHONE)
    await api('POST', '/sandbox/phones', FRIEND)
  })
  const created = await story.step('Creating a session', () =>
    api<{ session: { id: string }; webhookSecret: string }>('POST', '/api/sessions', {
      name: 'Demo',
      settings: { webhookUrl: receiver.url },
    }),
  )
  const { id } = created.session
  stage.sessionId = id
  receiver.expectSecret(created.webhookSecret)
  story.fact(`session ${id}`)
  receiver.onDelivery((delivery) => story.delivery('webhook', delivery.event, delivery.says))
  const stream = await watchStream(app.url, apiKey, (event, says) => story.delivery('websocket', event, says))
  try {
    await story.step('Starting it', () => api('POST', `/api/sessions/${id}/start`))
    const { qrText } = await story.step('Waiting for the QR code', () =>
      api<{ qrText: string }>('GET', `/api/sessions/${id}/qr`),
    )
    story.picture(await api.text(`/api/sessions/${id}/qr?format=terminal`))
    await story.step(`${PHONE.name} scans it`, () =>
      api('POST', `/sandbox/phones/${PHONE.phoneNumber}/scan`, { qr: qrText }),
    )
    await story.step('Waiting until the number is linked', () => stream.waitFor('session.connected'))
    const sent = await story.step(`Sending a message to ${FRIEND.name}`, () =>
      api<{ messageId: string; status: string }>('POST', '/api/messages/send/text', {
        sessionId: id,
        to: `+${FRIEND.phoneNumber}`,
        text: QUESTION,
      }),
    )
    story.fact(`WhatsApp’s server has acknowledged ${sent.messageId} (status "${sent.status}")`)
    await story.step('It arrives, decrypted on the friend’s phone', () => arrival(api, sent.messageId))
    await story.step(`${FRIEND.name} answers`, () =>
      api('POST', `/sandbox/phones/${FRIEND.phoneNumber}/messages`, {
        to: PHONE.phoneNumber,
        content: { type: 'text', text: REPLY },
      }),
    )
    await story.step('The answer comes in over the WebSocket', () => stream.waitFor('message.received'))
    await story.step('The answer comes in at the webhook, signature verified', () =>
      receiver.waitFor('message.received'),
    )
  } finally {
    stream.stop()
  }
}

type Received = { messages: { id: string; content: { text?: string } }[] }

async function arrival(api: ReturnType<typeof createApiClient>, messageId: string): Promise<void> {
  const deadline = systemClock.monotonic() + 15_000
  while (systemClock.monotonic() < deadline) {
    const { messages } = await api<Received>('GET', `/sandbox/phones/${FRIEND.phoneNumber}/messages`)
    const found = messages.find((message) => message.id === messageId)
    if (found?.content.text === QUESTION) return
    await systemClock.sleep(50)
  }
  throw new Error('The message did not arrive on the friend’s phone within 15 seconds')
}

async function stayUp(story: Story, { app, apiKey, sessionId }: Stage): Promise<void> {
  const key = `-H 'X-API-Key: ${apiKey}'`
  const json = `-H 'Content-Type: application/json'`
  story.tryOut([
    ['The server', `${app.url}   (all routes: ${app.url}/docs)`],
    ['The owner’s key', apiKey],
    ['Look at the session', `curl -s ${key} ${app.url}/api/sessions/${sessionId}`],
    [
      'Send another message',
      `curl -s ${key} ${json} -d '{"sessionId":"${sessionId}","to":"${FRIEND.phoneNumber}","text":"Hi"}' ${app.url}/api/messages/send/text`,
    ],
    [
      'What the friend’s phone shows',
      `curl -s ${key} ${app.url}/sandbox/phones/${FRIEND.phoneNumber}/messages`,
    ],
    [
      'Let the friend write',
      `curl -s ${key} ${json} -d '{"to":"${PHONE.phoneNumber}","content":{"type":"text","text":"Yo"}}' ${app.url}/sandbox/phones/${FRIEND.phoneNumber}/messages`,
    ],
    ['Read the history', `curl -s ${key} ${app.url}/api/messages/history/${sessionId}`],
    ['Read all events', `curl -s ${key} ${app.url}/api/sessions/${sessionId}/events`],
  ])
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
  })
  story.fact('stopping')
}
