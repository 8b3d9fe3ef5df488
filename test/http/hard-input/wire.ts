/** X6, the part of HTTP: bytes that no client would send. What the parser refuses has no body; nothing after it is served. */
import { expect } from 'bun:test'
import { connect } from 'node:net'
import { type HardRig, head } from './rig'
import { type HardRow, row } from './row'

const TYPE = 'Content-Type: application/json'
const BODY = '{"name":"Smuggler"}'
const create = (...more: string[]) => head('POST', '/api/sessions', TYPE, ...more)
/** Comes behind a request whose end is open to doubt, on the same connection. */
const NEXT = `${create('Content-Length: 19')}{"name":"Smuggled"}`

const names = async (rig: HardRig) => {
  const { sessions } = await rig.app.ok<{ sessions: { name: string }[] }>('GET', '/api/sessions?limit=100')
  return sessions.map(({ name }) => name)
}

/** Idle connections of the row about them; as many as the machine lets us have when asked for by name. */
const IDLE = Number(process.env.HARD_INPUT_IDLE ?? 400)

export const WIRE_ROWS: readonly HardRow[] = [
  row(93, 'requests whose end or head is open to doubt', async (rig) => {
    const health = (...lines: string[]) => ['GET /healthz HTTP/1.1', ...lines, '', ''].join('\r\n')
    for (const [says, bytes] of [
      ['length and chunks', `${create('Content-Length: 19', 'Transfer-Encoding: chunked')}0\r\n\r\n${NEXT}`],
      ['chunks and length', `${create('Transfer-Encoding: chunked', 'Content-Length: 4')}0\r\n\r\n${NEXT}`],
      ['two lengths', `${create('Content-Length: 19', 'Content-Length: 20')}${BODY}${NEXT}`],
      ['a negative length', `${create('Content-Length: -1')}${BODY}`],
      ['a length with a sign', `${create('Content-Length: +19')}${BODY}`],
      ['a length of 20 digits', `${create('Content-Length: 99999999999999999999')}${BODY}`],
      ['a list of encodings', `${create('Transfer-Encoding: gzip, chunked')}13\r\n${BODY}\r\n0\r\n\r\n`],
      ['an unknown encoding', `${create('Transfer-Encoding: xchunked')}13\r\n${BODY}\r\n0\r\n\r\n${NEXT}`],
      [
        'chunks under HTTP/1.0',
        `${create('Transfer-Encoding: chunked').replace('HTTP/1.1', 'HTTP/1.0')}13\r\n${BODY}\r\n0\r\n\r\n`,
      ],
      ['a bare line feed among the headers', health('Host: x.test\nX-A: b')],
      ['no host', health('X-A: b')],
      ['a space before the colon', health('Host: x.test', 'X-A : b')],
      ['a header over two lines', health('Host: x.test', 'X-A: b\r\n c')],
      ['a header without a colon', health('Host: x.test', 'X-A')],
    ] as const) {
      const { statuses, text } = await rig.raw(bytes)
      expect({ says, statuses }).toEqual({ says, statuses: [400] })
      expect(text).not.toContain('"success":true')
    }
    // Line feeds alone make a version that does not exist.
    expect((await rig.raw(health('Host: x.test').replaceAll('\r\n', '\n'))).statuses).toEqual([505])
    expect((await rig.raw('GET /api/sessions/a\0b HTTP/1.1\r\nHost: x.test\r\n\r\n')).statuses).toEqual([505])
    expect((await rig.raw('BREW /api/sessions HTTP/1.1\r\nHost: x.test\r\n\r\n')).statuses).toEqual([])
    expect(await names(rig)).not.toContain('Smuggled')
  }),
  row(94, 'chunks that do not end where they say', async (rig) => {
    const chunked = create('Transfer-Encoding: chunked')
    for (const [says, bytes] of [
      ['letters after the last chunk', `${chunked}13\r\n${BODY}\r\n0\r\nXX${NEXT}`],
      ['no line end after a chunk', `${chunked}13\r\n${BODY}0\r\n\r\n${NEXT}`],
      ['a size that is none', `${chunked}zz\r\n${BODY}\r\n0\r\n\r\n${NEXT}`],
    ] as const) {
      const { statuses } = await rig.raw(bytes)
      expect({ says, statuses }).toEqual({ says, statuses: [400] })
    }
    // A size of 33 bits is taken at its word: the rest of the connection is body, until its time is over.
    await rig.clock.hurry([30_000], async () => {
      const { statuses } = await rig.raw(`${chunked}100000013\r\n${BODY}\r\n0\r\n\r\n${NEXT}`)
      expect(statuses).toEqual([408])
    })
    expect(await names(rig)).not.toContain('Smuggled')
    // Control: one that ends as it should is served, and so is the next on its connection.
    const { statuses } = await rig.raw(`${chunked}13\r\n${BODY}\r\n0\r\n\r\n`, { next: NEXT })
    expect(statuses).toEqual([201, 201])
    expect(await names(rig)).toContain('Smuggled')
  }),
  row(95, 'heads that are too large', async (rig) => {
    const lines = (count: number, length: number) =>
      Array.from({ length: count }, (_, at) => `X-${at}: ${'a'.repeat(length)}`)
    for (const [count, length] of [
      [1, 70_000],
      [1, 17_000],
      [10_000, 1],
      [300, 1],
    ] as const) {
      const { statuses } = await rig.raw(head('GET', '/healthz', ...lines(count, length)))
      expect({ count, length, statuses }).toEqual({ count, length, statuses: [431] })
    }
    expect((await rig.raw(head('GET', `/${'a'.repeat(70_000)}`))).statuses).toEqual([431])
    expect((await rig.raw(head('GET', '/healthz', ...lines(50, 100)))).statuses).toEqual([200])
  }),
  row(96, 'many connections that say half of something', async (rig) => {
    const sockets = await Promise.all(
      Array.from(
        { length: IDLE },
        (_, at) =>
          new Promise<ReturnType<typeof connect>>((resolve, reject) => {
            const socket = connect(rig.port, '127.0.0.1', () => resolve(socket))
            socket.on('error', reject)
            socket.write(at % 2 ? 'GET /healthz HTTP/1.1\r\nHost: x' : `${create('Content-Length: 19')}{`)
          }),
      ),
    )
    // Everybody else is served meanwhile.
    await Promise.all(Array.from({ length: 50 }, () => rig.app.ok('GET', '/api/sessions')))
    for (const socket of sockets) socket.destroy()
    await rig.app.ok('GET', '/healthz')
  }),
]
