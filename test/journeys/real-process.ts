/** The product as a process that can be killed, and a sandbox in the test's own hands: phones, devices and what waits for them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Device } from '../../src/sandbox/types'
import { startSandbox, type TestSandbox } from '../harness/sandbox'
import { type Wabun, wabunGateway } from '../harness/world'
import { eventually, type Fields, type Told, type View } from './talk'

export interface RealProcess {
  readonly sandbox: TestSandbox
  readonly wabun: Wabun
  readonly session: string
  /** Our companion as WhatsApp's server knows it. */
  device(): Device
  /** SIGKILL; resolves when the server has noticed. */
  kill(): Promise<void>
  /** Starts it again; resolves when the session is connected. */
  start(): Promise<void>
  send(type: string, fields: Fields): Promise<string>
  viewOf(id: string, fits?: (view: View) => boolean): Promise<View>
  /** Everything told since the beginning. */
  told(): Promise<Told[]>
  stop(): Promise<void>
}

/** Starts both and links a session to the phone `ours`; `prepare` is done before. */
export async function startRealProcess(
  ours: string,
  phones: Readonly<Record<string, string>>,
  prepare: (sandbox: TestSandbox) => Promise<void> = async () => undefined,
): Promise<RealProcess> {
  const sandbox = await startSandbox()
  for (const [phoneNumber, name] of Object.entries({ [ours]: 'Ours', ...phones })) {
    sandbox.addPhone({ phoneNumber, name })
  }
  await prepare(sandbox)
  const folder = mkdtempSync(join(tmpdir(), 'wabun-authority-'))
  const authority = join(folder, 'ca.pem')
  writeFileSync(authority, sandbox.caPem)
  const endpoint = {
    WHATSAPP_URL: sandbox.url,
    WHATSAPP_ROOT_KEY: sandbox.rootPublicKey,
    WHATSAPP_MEDIA_HOSTS: sandbox.mediaHost,
    NODE_EXTRA_CA_CERTS: authority,
  }
  const wabun = wabunGateway({ sandbox: { endpoint } })
  await wabun.start()
  const session = await wabun.createSession('Real')
  await sandbox.phone(ours).scan(await wabun.qrOf(session))

  const connected = () =>
    eventually('connection', async () => ((await wabun.statusOf(session)) === 'connected' ? true : null))
  const device = (): Device => {
    const account = sandbox.server.directory.byPhoneNumber(ours)
    const found = [...(account?.devices.values() ?? [])].find(({ id }) => id !== 0)
    if (!found) throw new Error('Nothing is linked')
    return found
  }
  await connected()

  return {
    sandbox,
    wabun,
    session,
    device,
    async kill() {
      await wabun.kill()
      await eventually('end of the line', async () => (device().link === null ? true : null))
    },
    async start() {
      await wabun.start()
      await connected()
    },
    send: async (type, fields) =>
      (
        await wabun.api<{ messageId: string }>('POST', `/api/messages/send/${type}`, {
          sessionId: session,
          ...fields,
        })
      ).messageId,
    viewOf: (id, fits = () => true) =>
      eventually(`message ${id} in the API`, async () => {
        const response = await wabun.call('GET', `/api/messages/${session}/${id}`)
        const { message } = (await response.json()) as { message?: View }
        return message && fits(message) ? message : null
      }),
    async told() {
      const events: Told[] = []
      for (let cursor = ''; ; ) {
        const after = cursor === '' ? '' : `&after=${encodeURIComponent(cursor)}`
        const page = await wabun.api<{ events: Told[]; cursor: string }>(
          'GET',
          `/api/events?limit=100${after}`,
        )
        if (page.events.length === 0) return events
        events.push(...page.events)
        cursor = page.cursor
      }
    },
    async stop() {
      await wabun.end()
      await sandbox.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
