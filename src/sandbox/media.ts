/**
 * The sandbox's media host: encrypted files in, encrypted files out, over TLS under the sandbox's own authority.
 * It never sees a key. Upload `POST /mms/<type>/<token>?auth=…`, download `GET <direct path>`, as WhatsApp's hosts
 * do it (protocol notes §9). Files of channels lie open; those go to `/newsletter/newsletter-<type>/…` and get a handle.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { disturbed, type MediaFaults } from './media-faults'
import type { SandboxState } from './state'
import { type HostCertificate, issueHostCertificate } from './tls-certificate'

/** The folders of `/mms/` that Baileys and the phones upload to. */
const UPLOAD_TYPES = new Set(['image', 'video', 'audio', 'document', 'md-app-state'])
const CHANNEL_TYPES = new Set([
  'newsletter-image',
  'newsletter-video',
  'newsletter-audio',
  'newsletter-document',
])

/** How long WhatsApp keeps a file reachable under one path. */
const DEFAULT_LIFETIME_MS = 14 * 24 * 60 * 60 * 1000

export type MediaHostOptions = {
  state: SandboxState
  now: () => number
  /** Whether an upload with this permission is let in. */
  accepts(auth: string): boolean
  /** Default 127.0.0.1 and a free port. */
  hostname?: string
  port?: number
  lifetimeMs?: number
  /** Faults that refuse, cut, spoil or hold up what the host sends. */
  faults?: MediaFaults
  /** The fault under which files are gone; what is uploaded after it began is not touched by it. */
  fault?: GoneFault
}

export type GoneFault = {
  /** Name of the fault that stands now; null in the good case. */
  standing(): string | null
  /** Counts a download that was refused for it. */
  hit(): void
}

export interface MediaHost {
  /** `host:port`; known after `start`. */
  readonly host: string
  /** The certificate of the authority that signed the host's own. */
  readonly caPem: string
  /** A new path for a file that may have expired or gone: what a phone does when asked to upload again. */
  renew(directPath: string): string | null
  /** Takes in a sealed file that does not come by upload, and says under which path it lies. */
  store(sealed: Buffer): string
  start(): void
  stop(): Promise<void>
}

type Stored = { bytes: Buffer; expiresAt: number }

/** Makes the media host; certificate and files live in `state`. */
export function createMediaHost(options: MediaHostOptions): MediaHost {
  const { state, now } = options
  const hostname = options.hostname ?? '127.0.0.1'
  const lifetime = options.lifetimeMs ?? DEFAULT_LIFETIME_MS
  const certificate = loadCertificate(state, hostname, now())
  let server: ReturnType<typeof Bun.serve> | null = null

  /** Files that were there when the standing fault was first noticed, which is before anything came after it. */
  const gone = new Set<string>()
  let noticed: string | null = null
  const notice = () => {
    const standing = options.fault?.standing() ?? null
    if (standing === noticed) return
    noticed = standing
    gone.clear()
    if (standing !== null) for (const { key } of state.entries(SCOPE)) gone.add(key)
  }

  const put = (bytes: Buffer): string => {
    notice()
    const id = randomBytes(18).toString('base64url')
    writeFile(state, id, { bytes, expiresAt: now() + lifetime })
    return pathOf(id, now() + lifetime)
  }

  type Target = { folder: string; type: string; token: string }
  const upload = async (request: Request, { folder, type, token }: Target, auth: string | null) => {
    const forChannel = folder === 'newsletter'
    if (!(forChannel ? CHANNEL_TYPES : UPLOAD_TYPES).has(type)) return refuse(404, 'unknown media type')
    if (auth === null || !options.accepts(auth)) return refuse(401, 'unknown auth')
    const bytes = Buffer.from(await request.arrayBuffer())
    if (bytes.length === 0) return refuse(400, 'empty file')
    const hash = createHash('sha256').update(bytes).digest()
    const named = Buffer.from(decodeURIComponent(token), 'base64url')
    if (named.length !== hash.length || !timingSafeEqual(named, hash)) {
      return refuse(400, 'the token is not the hash of the file')
    }
    const directPath = put(bytes)
    const handle = forChannel ? { handle: `handle-${hash.toString('hex')}` } : {}
    return Response.json({ url: `https://${host()}${directPath}`, direct_path: directPath, ...handle })
  }

  const download = (request: Request, id: string) => {
    notice()
    const file = readFile(state, id)
    if (!file) return refuse(404, 'no such file')
    if (gone.has(id)) {
      options.fault?.hit()
      return refuse(410, 'gone')
    }
    if (file.expiresAt <= now()) return refuse(410, 'expired')
    return ranged(request.headers.get('range'), file.bytes)
  }

  const host = () => {
    if (!server) throw new Error('the media host is not running')
    return `${hostname}:${server.port}`
  }

  return {
    get host() {
      return host()
    },
    caPem: certificate.caPem,
    renew(directPath) {
      const id = idOf(directPath)
      const file = id === null ? null : readFile(state, id)
      return file ? put(file.bytes) : null
    },
    store: put,
    start() {
      server ??= Bun.serve({
        hostname,
        port: options.port ?? 0,
        tls: { cert: certificate.certPem, key: certificate.keyPem },
        // A host that hangs must hang for as long as it is told to.
        idleTimeout: 0,
        maxRequestBodySize: 2 * 1024 * 1024 * 1024,
        async fetch(request) {
          const url = new URL(request.url)
          const target = targetOf(url.pathname)
          if (target) {
            if (request.method !== 'POST') return refuse(405, 'uploads are posted')
            const refused = disturbed(options.faults, 'upload')
            if (refused) return await refused(new Response())
            return await upload(request, target, url.searchParams.get('auth'))
          }
          const id = idOf(url.pathname)
          if (id === null) return refuse(404, 'no such path')
          if (request.method !== 'GET') return refuse(405, 'downloads are got')
          const answer = download(request, id)
          return answer.ok ? await (disturbed(options.faults, 'download')?.(answer) ?? answer) : answer
        },
      })
    },
    async stop() {
      await server?.stop(true)
      server = null
    },
  }
}

const SCOPE = 'media'
const HEADER_BYTES = 8

/** Eight bytes of expiry in milliseconds, then the file. */
function writeFile(state: SandboxState, id: string, file: Stored): void {
  const head = Buffer.alloc(HEADER_BYTES)
  head.writeDoubleBE(file.expiresAt, 0)
  state.write(SCOPE, new Map([[id, Buffer.concat([head, file.bytes])]]))
}

function readFile(state: SandboxState, id: string): Stored | null {
  const stored = state.get(SCOPE, id)
  if (!stored) return null
  return {
    expiresAt: stored.readDoubleBE(0),
    bytes: stored.subarray(HEADER_BYTES),
  }
}

const pathOf = (id: string, expiresAt: number) =>
  `/v/t62.7118-24/${id}.enc?ccb=11-4&oe=${Math.floor(expiresAt / 1000)
    .toString(16)
    .toUpperCase()}`
const idOf = (path: string) => /^\/v\/t62\.7118-24\/([\w-]+)\.enc(?:\?|$)/.exec(path)?.[1] ?? null

function targetOf(path: string): { folder: string; type: string; token: string } | null {
  const [, folder = '', type = '', token = ''] = /^\/(mms|newsletter)\/([a-z-]+)\/([^/]+)$/.exec(path) ?? []
  return folder === '' ? null : { folder, type, token }
}

const refuse = (status: number, error: string) => Response.json({ error }, { status })

/** One range of RFC 9110, closed or open at the end; anything else gets the whole file. */
function ranged(header: string | null, bytes: Buffer): Response {
  const headers = { 'content-type': 'application/octet-stream', 'accept-ranges': 'bytes' }
  const range = /^bytes=(\d+)-(\d*)$/.exec(header ?? '')
  if (!range) return new Response(bytes, { headers })
  const first = Number(range[1])
  const last = Math.min(range[2] ? Number(range[2]) : bytes.length - 1, bytes.length - 1)
  if (first > last) {
    return new Response(null, { status: 416, headers: { 'content-range': `bytes */${bytes.length}` } })
  }
  return new Response(bytes.subarray(first, last + 1), {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${first}-${last}/${bytes.length}` },
  })
}

/** The certificate outlives a restart with the rest of the state: whoever trusts it need not be told again. */
function loadCertificate(state: SandboxState, hostname: string, now: number): HostCertificate {
  const key = `certificate ${hostname}`
  const stored = state.get('media-tls', key)
  if (stored) return JSON.parse(stored.toString())
  const issued = issueHostCertificate(hostname, now)
  state.write('media-tls', new Map([[key, Buffer.from(JSON.stringify(issued))]]))
  return issued
}
