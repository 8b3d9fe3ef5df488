/** In which form a QR code is answered. */
export const QR_FORMATS = ['json', 'png', 'svg', 'terminal', 'text', 'raw'] as const
export type QrFormat = (typeof QR_FORMATS)[number]

export type QrDrawing = {
  dataUrl(text: string): Promise<string>
  response(format: Exclude<QrFormat, 'json'>, text: string): Promise<Response>
}

/**
 * `?format=` decides; else an Accept header that names an image or plain text and no JSON. Clients such as axios send
 * `application/json, text/plain, *\/*` by habit, and get JSON.
 */
export function qrFormat(asked: QrFormat | undefined, accept: string | null): QrFormat {
  if (asked) return asked
  const types = (accept ?? '').split(',').map((part) => (part.split(';')[0] ?? '').trim().toLowerCase())
  if (types.some((type) => type === '*/*' || type === 'application/json')) return 'json'
  if (types.includes('image/png')) return 'png'
  if (types.includes('image/svg+xml')) return 'svg'
  return types.includes('text/plain') ? 'terminal' : 'json'
}

type Drawers = {
  dataUrl(text: string): Promise<string>
  png(text: string): Promise<Uint8Array>
  svg(text: string): Promise<string>
  terminal(text: string): Promise<string>
}

/** Binds the drawing functions to the formats. */
export function qrDrawing({ dataUrl, png, svg, terminal }: Drawers): QrDrawing {
  const plain = 'text/plain; charset=utf-8'
  const drawn = {
    png: async (text: string) => ({ type: 'image/png', body: await png(text) }),
    svg: async (text: string) => ({ type: 'image/svg+xml', body: await svg(text) }),
    terminal: async (text: string) => ({ type: plain, body: `${(await terminal(text)).trimEnd()}\n` }),
    text: async (text: string) => ({ type: plain, body: `${(await terminal(text)).trimEnd()}\n` }),
    raw: async (text: string) => ({ type: plain, body: text }),
  }
  return {
    dataUrl,
    async response(format, text) {
      const { type, body } = await drawn[format](text)
      return new Response(body, { headers: { 'content-type': type } })
    },
  }
}
