/** Forms as they come over a real socket: read as a stream, bounded, and nothing left open when they break off. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { AppError } from '../../src/domain/errors'
import { FORM_FIELD_SIZE } from '../../src/http/limits'
import { type FormFields, type FormFile, readForm } from '../../src/http/multipart'

type Seen = {
  fields: [string, readonly string[]][]
  files: { name: string; filename: string | null; mimetype: string; size: number; sha256: string }[]
}
/** What became of each file's reader. */
const ends: string[] = []
let refuse: ((file: FormFile) => void) | null = null
let limits = { files: 2, maxBytes: 300_000_000 }

async function keep(file: FormFile, seen: Seen): Promise<void> {
  const hash = createHash('sha256')
  let size = 0
  try {
    refuse?.(file)
    for await (const piece of file.bytes) {
      hash.update(piece)
      size += piece.byteLength
    }
    ends.push('whole')
  } catch (error) {
    ends.push('broken')
    throw error
  }
  const { name, filename, mimetype } = file
  seen.files.push({ name, filename, mimetype, size, sha256: hash.digest('hex') })
}

let server: ReturnType<typeof Bun.serve>
beforeAll(() => {
  server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    maxRequestBodySize: 400_000_000,
    async fetch(request) {
      const seen: Seen = { fields: [], files: [] }
      try {
        const fields: FormFields = await readForm(request, limits, (file) => keep(file, seen))
        seen.fields = [...fields]
        return Response.json(seen)
      } catch (error) {
        if (error instanceof AppError) return Response.json(error.toBody(), { status: error.status })
        throw error
      }
    },
  })
})
afterAll(() => server.stop(true))

const post = async <Body = Seen>(body: Bun.BodyInit, headers: Record<string, string> = {}) => {
  const response = await fetch(server.url, { method: 'POST', body, headers })
  return { status: response.status, body: (await response.json()) as Body }
}
const FORM = { 'content-type': 'multipart/form-data; boundary=B' }
const refusal = async (body: Bun.BodyInit, headers: Record<string, string> = FORM) => {
  ends.length = 0
  const { status, body: told } = await post<{ code: string }>(body, headers)
  return { status, code: told.code }
}
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const part = (head: string, value: string) =>
  `--B\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`
const END = '--B--\r\n'

describe('a form', () => {
  test('fields in order, files whole, whatever comes first', async () => {
    const bytes = randomBytes(3_000_000)
    const form = new FormData()
    form.append('sessionId', 'a')
    form.append('file', new File([bytes], 'Grüße "1".bin', { type: 'image/png' }))
    form.append('mentions', '1')
    form.append('mentions', '2 ✓')
    const { body } = await post(form)
    expect(body.fields).toEqual([
      ['sessionId', ['a']],
      ['mentions', ['1', '2 ✓']],
    ])
    expect(body.files).toMatchObject([{ name: 'file', mimetype: 'image/png', size: 3_000_000 }])
    expect(body.files[0]?.sha256).toBe(sha256(bytes))
    expect(body.files[0]?.filename).toContain('Grüße')
  })

  test('bytes that look like boundaries belong to the file, cut wherever the pieces are cut', async () => {
    const content = 'x\r\n--b\r\n\r\n--\r\n-B\r\n\n--B--\r\r\n--A\r\n--'
    const whole = new TextEncoder().encode(part('name="file"; filename="a"', content) + END)
    for (const step of [1, 2, 3, 7]) {
      let at = 0
      const body = new ReadableStream({
        pull(controller) {
          if (at >= whole.length) return controller.close()
          controller.enqueue(whole.slice(at, at + step))
          at += step
        },
      })
      const { status, body: seen } = await post(body, FORM)
      expect({ status, size: seen.files[0]?.size }).toEqual({ status: 200, size: content.length })
    }
  })

  test('two files, one after another', async () => {
    const form = new FormData()
    form.append('file', new File(['one'], '1.txt'))
    form.append('file', new File(['three'], '3.txt'))
    expect((await post(form)).body.files.map(({ size }) => size)).toEqual([3, 5])
  })

  test('an empty file and an empty field', async () => {
    const body = part('name="a"', '') + part('name="f"; filename="x"', '') + END
    const { body: seen } = await post(body, FORM)
    expect(seen).toMatchObject({ fields: [['a', ['']]], files: [{ name: 'f', size: 0 }] })
  })
})

describe('is refused', () => {
  test.each([
    ['no boundary', END, { 'content-type': 'multipart/form-data' }, 400, 'VALIDATION_ERROR'],
    ['nothing in it', 'x', FORM, 400, 'VALIDATION_ERROR'],
    ['compressed', END, { ...FORM, 'content-encoding': 'gzip' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'cut in a field',
      '--B\r\nContent-Disposition: form-data; name="a"\r\n\r\nx',
      FORM,
      400,
      'VALIDATION_ERROR',
    ],
    ['cut in a head', '--B\r\nContent-Disp', FORM, 400, 'VALIDATION_ERROR'],
    [
      'cut in a file',
      '--B\r\nContent-Disposition: form-data; name="a"; filename="x"\r\n\r\nabc',
      FORM,
      400,
      'VALIDATION_ERROR',
    ],
    ['a part without a name', part('filename="x"', 'abc') + END, FORM, 400, 'VALIDATION_ERROR'],
    ['a long name', part(`name="${'n'.repeat(200)}"`, 'x') + END, FORM, 400, 'VALIDATION_ERROR'],
    ['a long field', part('name="a"', 'x'.repeat(FORM_FIELD_SIZE + 1)) + END, FORM, 413, 'PAYLOAD_TOO_LARGE'],
    ['10,000 fields', part('name="a"', 'x').repeat(10_000) + END, FORM, 413, 'PAYLOAD_TOO_LARGE'],
    ['three files', part('name="a"; filename="x"', 'x').repeat(3) + END, FORM, 413, 'PAYLOAD_TOO_LARGE'],
  ])('%s', async (_, body, headers, status, code) => {
    expect(await refusal(body, headers)).toEqual({ status, code })
  })

  test('more bytes than there may be, and the reader of the file is told', async () => {
    limits = { files: 2, maxBytes: 100_000 }
    const head = part('name="a"; filename="x"', 'x').slice(0, -2)
    const slowly = () => {
      let pieces = 0
      return new ReadableStream({
        async pull(controller) {
          await Bun.sleep(1)
          pieces += 1
          controller.enqueue(new TextEncoder().encode(pieces === 1 ? head : 'x'.repeat(10_000)))
          if (pieces < 20) return
          controller.enqueue(new TextEncoder().encode(`\r\n${END}`))
          controller.close()
        },
      })
    }
    expect(await refusal(slowly())).toEqual({ status: 413, code: 'FILE_TOO_LARGE' })
    expect(ends).toEqual(['broken'])
    limits = { files: 2, maxBytes: 300_000_000 }
    // Control.
    expect((await post(slowly(), FORM)).status).toBe(200)
  })

  test('what the keeper refuses, without reading on', async () => {
    refuse = () => {
      throw new AppError('UNSUPPORTED_MEDIA_TYPE')
    }
    const body = part('name="a"; filename="x"', 'x'.repeat(50_000_000)) + END
    expect(await refusal(body)).toEqual({ status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' })
    refuse = null
  })
})

test('a caller who goes away in the middle of a file ends its reader', async () => {
  ends.length = 0
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port ?? 0,
    socket: {
      data: () => undefined,
      open(socket) {
        socket.write(
          `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 100000\r\n\r\n${part('name="a"', 'b')}--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nabc`,
        )
      },
    },
  })
  await Bun.sleep(50)
  socket.end()
  while (ends.length === 0) await Bun.sleep(5)
  expect(ends).toEqual(['broken'])
})
