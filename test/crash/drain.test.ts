/** A connection that is cut while the messages of an absence come in: the product has all of them, stock Baileys has not. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { until } from '../harness/measure'
import { startSandboxProcess } from '../harness/sandbox-process'
import { startSink } from '../harness/sink'
import { type Gateway, numberOf, pairAll, rawGateway, wabunGateway } from '../harness/world'

setDefaultTimeout(60_000)
const MESSAGES = 20
/** How long a message may be missing before it counts as lost (ms). */
const PATIENCE = { wabun: 20_000, raw: 3_000 }

/** Messages that reach the webhook when the connection is cut as WhatsApp takes the `cutAt`-th receipt. */
async function arriving(name: Gateway['name'], cutAt: number): Promise<number> {
  const sandbox = await startSandboxProcess()
  const sink = startSink()
  const [us, peer] = [numberOf(0), numberOf(1)]
  await sandbox.addPhone(peer)
  const wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  const gateway = name === 'wabun' ? wabun : rawGateway({ sandbox, webhookUrl: sink.url })
  try {
    await gateway.start()
    const [id = ''] = await pairAll(gateway, sandbox, [us])
    if (name === 'wabun')
      await wabun.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
    await gateway.kill()
    const texts = Array.from({ length: MESSAGES }, (_, n) => `while you were away ${n}`)
    await sandbox.burst(texts.map((text) => ({ from: peer, to: us, text })))
    await sandbox.dropAtReceipt(us, cutAt)
    const { loginsOf } = await sandbox.stats()
    await gateway.start()
    // Cut, and back again.
    await until('the second login', async () =>
      ((await sandbox.stats()).loginsOf[us] ?? 0) >= (loginsOf[us] ?? 0) + 2 ? true : null,
    )
    const told = () => texts.filter((text) => sink.deliveries.some(({ body }) => body.text === text)).length
    await until('all of them', () => (told() === MESSAGES ? true : null), PATIENCE[name]).catch(
      () => undefined,
    )
    return told()
  } finally {
    await gateway.end()
    await sink.stop()
    await sandbox.stop()
  }
}

test.each([1, 10, MESSAGES])('cut at receipt %i of 20: all arrive', async (cutAt) => {
  expect(await arriving('wabun', cutAt)).toBe(MESSAGES)
})

test('control: stock Baileys loses what it has confirmed', async () => {
  expect(await arriving('raw', MESSAGES / 2)).toBeLessThan(MESSAGES)
})
