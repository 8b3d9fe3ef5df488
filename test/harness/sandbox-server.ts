/** Entry of the sandbox process that the rigs start: the library behind a bare HTTP port, and the times of its logins. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { FaultInput } from '../../src/sandbox/faults'
import { createSandbox } from '../../src/sandbox/sandbox'
import { undoFailedAttempts } from '../../src/whatsapp/baileys/upstream/failed-attempts'
import { keepTransactionsApart } from '../../src/whatsapp/baileys/upstream/own-transactions'
import { seeded } from './measure'

keepTransactionsApart()
undoFailedAttempts()
const sandbox = createSandbox()
await sandbox.start()

const authority = join(mkdtempSync(join(tmpdir(), 'wabun-sandbox-')), 'ca.pem')
writeFileSync(authority, sandbox.caPem)

/** Milliseconds since the epoch with fractions, comparable between processes of one machine. */
const now = () => performance.timeOrigin + performance.now()
let firstConnection: number | null = null
const { stats } = sandbox.server
const opened = stats.opened.bind(stats)
stats.opened = () => {
  firstConnection ??= now()
  opened()
}

/** By number: every message that its companions were ever sent, if somebody has asked to remember them. */
const remembered = new Map<string, Map<string, BinaryNode>>()
/** Stanzas that a companion has refused with a number, which WhatsApp takes for an error of the client. */
const refused: string[] = []
const sentTo = (phoneNumber: string, { attrs }: BinaryNode): string =>
  `${phoneNumber} ${attrs.from} ${attrs.participant ?? ''} ${attrs.id}`

const childrenOf = ({ content }: BinaryNode) => (Array.isArray(content) ? content : [])

/** Ids that companions have confirmed, by their number, and messages that somebody could not decrypt. */
const confirmed = new Map<string, Set<string>>()
const unreadable: string[] = []
/** How many messages companions have confirmed, and when the last of them was. */
const tally = { confirmed: 0, lastAt: 0 }
function note(device: { phoneNumber: string; deviceId: number }, { attrs, content }: BinaryNode): void {
  if (attrs.type === 'retry') unreadable.push(attrs.id ?? '')
  if (attrs.type === 'retry' || device.deviceId === 0) return
  const ids = confirmed.get(device.phoneNumber) ?? new Set()
  confirmed.set(device.phoneNumber, ids.add(attrs.id ?? ''))
  const list = Array.isArray(content) ? content.find(({ tag }) => tag === 'list') : undefined
  const items = Array.isArray(list?.content) ? list.content : []
  for (const item of items) ids.add(item.attrs.id ?? '')
  tally.confirmed += 1 + items.length
  tally.lastAt = now()
}

/**
 * A process that dies the moment the `left`-th message or delivery receipt of this number's companion has arrived. Without
 * a process, its connection is cut, and cut again after each of `more`.
 */
type Doom = {
  tag: 'receipt' | 'message'
  pid: number | null
  phoneNumber: string
  left: number
  more?: number[]
}
let doomed: Doom | null = null
const { log } = sandbox.server
const record = log.record.bind(log)
log.record = (direction, device, stanza) => {
  record(direction, device, stanza)
  if (direction === 'in' && stanza.tag === 'receipt' && device !== null) note(device, stanza)
  if (
    direction === 'in' &&
    stanza.tag === 'ack' &&
    stanza.attrs.error !== undefined &&
    device?.deviceId !== 0
  )
    refused.push(`${stanza.attrs.id}: ${stanza.attrs.error}`)
  if (direction === 'out' && stanza.tag === 'message' && device !== null && device.deviceId !== 0)
    remembered.get(device.phoneNumber)?.set(sentTo(device.phoneNumber, stanza), stanza)
  // The stanza is written after this: a backlog whose connection is to be cut never gets to its end mark.
  const isEndMark = stanza.tag === 'ib' && childrenOf(stanza).some(({ tag }) => tag === 'offline')
  if (isEndMark && doomed?.pid === null && device?.phoneNumber === doomed.phoneNumber) stanza.content = []
  if (doomed === null || direction !== 'in' || stanza.tag !== doomed.tag || stanza.attrs.type === 'retry')
    return
  if (device?.phoneNumber !== doomed.phoneNumber || device.deviceId === 0) return
  // One receipt may confirm several messages.
  const list = Array.isArray(stanza.content) ? stanza.content.find(({ tag }) => tag === 'list') : undefined
  doomed.left -= 1 + (Array.isArray(list?.content) ? list.content.length : 0)
  if (doomed.left > 0) return
  const { pid, phoneNumber, more: [next, ...more] = [] } = doomed
  doomed = next === undefined ? null : { ...doomed, left: next, more }
  if (pid === null) sandbox.server.faults.add({ kind: 'drop', phoneNumber })
  else killNow(pid)
}

function killNow(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    // Its last words may arrive after its end.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const json = (body: unknown) => Response.json(body)
type Body = Record<string, string>
const bodyOf = async (request: Request) => (await request.json()) as Body
/** A refusal is an answer, not a crash. */
const safely =
  <R extends Request>(work: (request: R) => Promise<Response> | Response) =>
  async (request: R) => {
    try {
      return await work(request)
    } catch (error) {
      return new Response(error instanceof Error ? error.message : String(error), { status: 400 })
    }
  }

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  idleTimeout: 120,
  routes: {
    '/endpoint': () =>
      json({
        WHATSAPP_URL: sandbox.url,
        WHATSAPP_ROOT_KEY: sandbox.rootPublicKey,
        WHATSAPP_MEDIA_HOSTS: sandbox.mediaHost,
        NODE_EXTRA_CA_CERTS: authority,
      }),
    '/stats': () => json(stats.snapshot()),
    '/tally': () => json(tally),
    '/first-connection': {
      GET: () => json({ at: firstConnection }),
      DELETE: () => {
        firstConnection = null
        return json({})
      },
    },
    '/phones': {
      POST: safely(async (request) => {
        const { phoneNumber = '', name = '' } = await bodyOf(request)
        sandbox.addPhone({ phoneNumber, name })
        return json({})
      }),
    },
    '/phones/:number/scan': {
      POST: safely(async (request: Bun.BunRequest<'/phones/:number/scan'>) => {
        const { qr = '' } = await bodyOf(request)
        return json(await sandbox.phone(request.params.number).scan(qr))
      }),
    },
    '/phones/:number/messages': {
      GET: safely((request: Bun.BunRequest<'/phones/:number/messages'>) =>
        json(
          sandbox
            .phone(request.params.number)
            .messages()
            .filter((message) => !message.fromMe)
            .slice(Number(new URL(request.url).searchParams.get('after') ?? 0))
            .map(({ id, from, content }) => ({
              id,
              from,
              text:
                'text' in content
                  ? (content.text ?? null)
                  : ((content as { caption?: string }).caption ?? null),
            })),
        ),
      ),
      POST: safely(async (request: Bun.BunRequest<'/phones/:number/messages'>) => {
        const { to = '', text = '' } = await bodyOf(request)
        const message = await sandbox.phone(request.params.number).send(to, text)
        return json({ messageId: message.id })
      }),
    },
    '/groups': {
      POST: safely(async (request) => {
        const group = (await request.json()) as { owner: string; subject: string; members: string[] }
        return json(await sandbox.createGroup(group))
      }),
    },
    // Files of random bytes are made and judged here, so that nobody else has to hold them.
    '/phones/:number/files': {
      POST: safely(async (request: Bun.BunRequest<'/phones/:number/files'>) => {
        const { to, size } = (await request.json()) as { to: string; size: number }
        const bytes = randomBytes(size)
        const said = {
          type: 'document',
          base64: bytes.toString('base64'),
          filename: `${size} bytes`,
        } as const
        const { id } = await sandbox.phone(request.params.number).send(to, said)
        return json({ messageId: id, sha256: sha256(bytes) })
      }),
    },
    '/phones/:number/files/:id': {
      GET: safely(async (request: Bun.BunRequest<'/phones/:number/files/:id'>) => {
        const { number, id } = request.params
        await sandbox.phone(number).waitForMessage((message) => message.id === id)
        const bytes = await sandbox.phone(number).download(id)
        return json({ size: bytes.length, sha256: sha256(bytes) })
      }),
    },
    // Orders given in one request leave in one piece, as messages do that have piled up.
    '/burst': {
      POST: safely(async (request) => {
        const orders = (await request.json()) as {
          from: string
          to: string
          text?: string
          content?: PhoneContent
        }[]
        const sent = await Promise.all(
          orders.map(({ from, to, text = '', content }) => sandbox.phone(from).send(to, content ?? text)),
        )
        return json(sent.map(({ id }) => id))
      }),
    },
    '/confirmed/:number': (request: Bun.BunRequest<'/confirmed/:number'>) => {
      const ids = [...(confirmed.get(request.params.number) ?? [])]
      confirmed.delete(request.params.number)
      return json({ ids, unreadable: unreadable.splice(0) })
    },
    '/remembered/:number': {
      PUT: ({ params: { number } }: Bun.BunRequest<'/remembered/:number'>) => {
        remembered.set(number, new Map())
        return json({})
      },
      // In another order each time.
      POST: safely(async (request: Bun.BunRequest<'/remembered/:number'>) => {
        const { number } = request.params
        const { times, seed } = (await request.json()) as { times: number; seed: number }
        const random = seeded(seed)
        const stanzas = [...(remembered.get(number)?.values() ?? [])]
        const { devices } = sandbox.server.directory.byPhoneNumber(number) ?? { devices: new Map() }
        const links = [...devices.values()].flatMap(({ id, link }) => (id === 0 || !link ? [] : [link]))
        for (let n = 0; n < times; n++) {
          const shuffled = stanzas
            .map((stanza) => ({ stanza, place: random() }))
            .sort((a, b) => a.place - b.place)
          for (const { stanza } of shuffled) for (const link of links) link.send(stanza)
        }
        return json({ sent: stanzas.length * times * links.length })
      }),
    },
    '/refused': () => json(refused),
    '/doom': {
      POST: safely(async (request) => {
        doomed = (await request.json()) as Doom
        return json({})
      }),
    },
    '/faults': {
      POST: safely(async (request) =>
        json(sandbox.server.faults.add((await bodyOf(request)) as unknown as FaultInput)),
      ),
      DELETE: () => json({ cleared: sandbox.server.faults.clear() }),
    },
  },
  fetch: () => new Response('not found', { status: 404 }),
})
console.log(`listening on http://127.0.0.1:${server.port}`)
process.on('SIGTERM', () => process.exit(0))
