/**
 * Upstream defect: the WhatsApp Web version is a constant in the package; when WhatsApp retires it, every session is
 * refused (405) until somebody updates.
 *
 * Repair: an override from the configuration, else the version of the last successful login, else the bundled one. On
 * a 405 the current version is looked up once at WhatsApp's own site; only when that gives no other is the client
 * outdated.
 *
 * Upstream repaired it when Baileys negotiates the version itself.
 */
import { DEFAULT_CONNECTION_CONFIG, DEFAULT_ORIGIN, type WAVersion } from '@whiskeysockets/baileys'

/** Where the version of the last successful login is kept. */
export interface VersionStore {
  load(): string | null
  save(version: string): void
}

export interface ClientVersion {
  /** What to log in with now. */
  current(): WAVersion
  /** A login with it succeeded. */
  succeeded(version: WAVersion): void
  /**
   * It was refused; true when there is another one to try. Callers at the same time share one look-up; whoever has a
   * way of its own looks it up `through` that.
   */
  refused(version: WAVersion, through?: Fetch): Promise<boolean>
}

type Fetch = (url: string, init: RequestInit) => Promise<Response>

export type ClientVersionOptions = {
  /** `WA_VERSION`; never replaced. */
  override: WAVersion | null
  store?: VersionStore
  /** Present only with WhatsApp's own endpoint. */
  fetch?: Fetch
}

export const BUNDLED_VERSION: WAVersion = DEFAULT_CONNECTION_CONFIG.version
export const showVersion = (version: WAVersion): string => version.join('.')

/** `2.3000.123` or `2,3000,123`; null when it is neither. */
export function parseVersion(text: string): WAVersion | null {
  const match = /^(\d+)[.,](\d+)[.,](\d+)$/.exec(text.trim())
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : null
}

const SERVICE_WORKER = `${DEFAULT_ORIGIN}/sw.js`
const REVISION = /\\?"client_revision\\?":\s*(\d+)/
const LOOK_UP_MS = 5_000

/** Chooses the version for all sessions of this process. */
export function createClientVersion(options: ClientVersionOptions): ClientVersion {
  const remembered = options.store?.load()
  let known = options.override ?? (remembered ? parseVersion(remembered) : null) ?? BUNDLED_VERSION
  let lookUp: Promise<WAVersion | null> | null = null

  function looked(through: Fetch | undefined): Promise<WAVersion | null> {
    if (through) return latestVersion(options.fetch && through)
    lookUp ??= latestVersion(options.fetch).finally(() => {
      lookUp = null
    })
    return lookUp
  }

  return {
    current: () => known,
    succeeded(version) {
      if (options.override === null) options.store?.save(showVersion(version))
    },
    async refused(version, through) {
      if (options.override !== null) return false
      // Another session may have found a newer one meanwhile.
      if (showVersion(version) !== showVersion(known)) return true
      const found = (await looked(through)) ?? BUNDLED_VERSION
      if (showVersion(found) === showVersion(version)) return false
      known = found
      return true
    },
  }
}

async function latestVersion(fetch: ClientVersionOptions['fetch']): Promise<WAVersion | null> {
  if (fetch === undefined) return null
  try {
    const response = await fetch(SERVICE_WORKER, {
      headers: {
        'sec-fetch-site': 'none',
        'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Chrome/131.0.0.0 Safari/537.36',
      },
      signal: AbortSignal.timeout(LOOK_UP_MS),
    })
    const revision = REVISION.exec(response.ok ? await response.text() : '')?.[1]
    return revision === undefined ? null : [2, 3000, Number(revision)]
  } catch {
    // No answer is no news: the session stays on the version it has.
    return null
  }
}
