/** A bulk of a thousand with fifty bad entries, its process killed half-way: each good one once, each bad one reported. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

const OURS = numberOf(0)
const PHONES = Array.from({ length: 10 }, (_, index) => numberOf(index + 1))
/** Statuses of a message that WhatsApp has; its receipt may have come already. */
const LEFT = ['sent', 'delivered']
const ENTRIES = 1_000
const BAD = 50

let sandbox: SandboxProcess
let wabun: Wabun
let id: string
beforeAll(async () => {
  sandbox = await startSandboxProcess()
  for (const phone of PHONES) await sandbox.addPhone(phone)
  wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await wabun.start()
  ;[id = ''] = await pairAll(wabun, sandbox, [OURS])
}, 60_000)
afterAll(async () => {
  await wabun.end()
  await sandbox.stop()
})

type Result = { index: number; success: boolean; messageId?: string; status?: string; code?: string }
type Answer = { results: Result[]; summary: { total: number; successful: number; failed: number } }

/** Every twentieth is bad, each in one of four ways. */
const isBad = (index: number) => index % (ENTRIES / BAD) === 7
const BAD_ONES = [
  [{ to: numberOf(9_999), text: 'nobody is there' }, 'NUMBER_NOT_ON_WHATSAPP'],
  [{ to: PHONES[0], text: 'an answer to nothing', quotedMessageId: 'NOPE' }, 'MESSAGE_NOT_FOUND'],
  [{ to: 'no number', text: 'x' }, 'INVALID_PHONE_NUMBER'],
  [{ to: PHONES[0], text: '' }, 'VALIDATION_ERROR'],
] as const
const badOf = (index: number) => BAD_ONES[Math.floor(index / 20) % BAD_ONES.length] ?? BAD_ONES[0]
const messages = Array.from({ length: ENTRIES }, (_, index) =>
  isBad(index) ? badOf(index)[0] : { to: PHONES[index % PHONES.length], text: `entry ${index}` },
)

const post = () =>
  wabun.api<Answer>(
    'POST',
    '/api/messages/send/bulk?timeout=60',
    { sessionId: id, messages },
    { 'idempotency-key': 'the-bulk' },
  )
/** Texts at all phones, in the order of each phone. */
const arrived = async () =>
  (await Promise.all(PHONES.map((phone) => sandbox.received(phone)))).map((list) =>
    list.map(({ text }) => String(text)),
  )
const count = async () => (await arrived()).flat().length

test('the repeated request meets what the first has left', async () => {
  const first = post().catch(() => null)
  await until('half of it at the phones', async () => ((await count()) >= 300 ? true : null), 60_000)
  await wabun.kill()
  expect(await first).toBeNull()
  await wabun.start()
  await until('the session is back', async () => ((await wabun.statusOf(id)) === 'connected' ? true : null))
  const { results, summary } = await post()
  expect(summary).toEqual({ total: ENTRIES, successful: ENTRIES - BAD, failed: BAD })
  for (const { index, success, code, status } of results) {
    if (isBad(index)) expect([index, success, code]).toEqual([index, false, badOf(index)[1]])
    else expect([index, success, LEFT.includes(status ?? '')]).toEqual([index, true, true])
  }
  const wanted = messages.flatMap((message, index) => (isBad(index) ? [] : [String(message.text)]))
  await until('all of it at the phones', async () => ((await count()) >= wanted.length ? true : null), 60_000)
  const lists = await arrived()
  expect(lists.flat().sort()).toEqual(wanted.sort())
  // Order holds within each chat, over the kill.
  for (const list of lists) {
    const order = list.map((text) => Number(text.split(' ')[1]))
    expect(order).toEqual([...order].sort((a, b) => a - b))
  }
  const ids = results.filter(({ success }) => success).map(({ messageId }) => messageId)
  expect(new Set(ids).size).toBe(ENTRIES - BAD)
}, 170_000)
