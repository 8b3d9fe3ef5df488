/** A hundred sessions in one process talk to each other and survive kill -9; every message is only where it belongs. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { inParallel, until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { allConnected, numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

setDefaultTimeout(300_000)

const COUNT = 100
const numbers = Array.from({ length: COUNT }, (_, index) => numberOf(index))
let sandbox: SandboxProcess
let service: Wabun
let ids: string[] = []

/** Session `index` writes to its neighbour; the text names both ends, so a stray message gives itself away. */
const next = (index: number) => (index + 1) % COUNT
const textOf = (wave: string, from: number, to: number) => `${wave} from ${from} to ${to}`

async function talk(wave: string): Promise<void> {
  await inParallel(ids, 10, async (id, index) => {
    await service.send(id, numbers[next(index)] ?? '', textOf(wave, index, next(index)))
  })
}

/** What session `index` must hold after these waves, as `direction text`. */
function expectedOf(index: number, waves: readonly string[]): string[] {
  const before = (index + COUNT - 1) % COUNT
  return waves
    .flatMap((wave) => [`out ${textOf(wave, index, next(index))}`, `in ${textOf(wave, before, index)}`])
    .sort()
}

async function holdingsOf(index: number): Promise<string[]> {
  const history = await service.history(ids[index] ?? '')
  return history.map((message) => `${message.from === 'me' ? 'out' : 'in'} ${message.text}`).sort()
}

async function everythingInPlace(waves: readonly string[]): Promise<void> {
  await inParallel(ids, 10, async (_, index) => {
    await until(`the messages of session ${index}`, async () =>
      (await holdingsOf(index)).length >= 2 * waves.length ? true : null,
    )
  })
  for (let index = 0; index < COUNT; index++)
    expect(await holdingsOf(index)).toEqual(expectedOf(index, waves))
}

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  service = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await service.start()
  ids = await pairAll(service, sandbox, numbers)
})
afterAll(async () => {
  await service?.end()
  await sandbox?.stop()
})

test('each message arrives at the one session it was meant for', async () => {
  await talk('first')
  await everythingInPlace(['first'])
})

test('kill -9: all hundred come back without QR, the history is whole, and they talk on', async () => {
  await service.kill()
  await service.start()
  await allConnected(service, COUNT)
  await everythingInPlace(['first'])
  await talk('second')
  await everythingInPlace(['first', 'second'])
})

test('each phone saw its own account’s messages and no others', async () => {
  await inParallel(numbers, 10, async (number, index) => {
    const before = (index + COUNT - 1) % COUNT
    const wanted = ['first', 'second'].map((wave) => textOf(wave, before, index)).sort()
    const got = await until(`what phone ${index} received`, async () => {
      const texts = (await sandbox.received(number)).map((message) => message.text ?? '').sort()
      return texts.length >= wanted.length ? texts : null
    })
    expect(got).toEqual(wanted)
  })
})
