/** The address of a proxy, as a user writes it: `socks5://user:password@proxy.example.com:1080`. */

export const PROXY_KINDS = ['http', 'https', 'socks5'] as const
export type ProxyPlace = {
  /** `http` and `https` are asked with CONNECT; names are resolved by the proxy with each of them. */
  kind: (typeof PROXY_KINDS)[number]
  /** A name or an address, without brackets. */
  host: string
  port: number
  username: string | null
  password: string | null
}

/** `socks5h` is what some programs call a SOCKS proxy that resolves the names. */
const SCHEME = /^(https?|socks5h?):\/\//i
const USUAL_PORT = { http: 80, https: 443, socks5: 1080 }
/** RFC 1929 has one byte for the length of either. */
const LONGEST_CREDENTIAL = 255
const CONTROL = /\p{Cc}/u

/** Null when it is no such address: another scheme, a path, a name or password that cannot be sent. */
export function parseProxy(text: string): ProxyPlace | null {
  const scheme = SCHEME.exec(text)
  if (!scheme?.[1]) return null
  const kind = scheme[1].toLowerCase().replace(/h$/, '') as ProxyPlace['kind']
  const rest = text.slice(scheme[0].length)
  // As http, so that every spelling of a host comes out the same; as https too, because a usual port is left out.
  const url = URL.parse(`http://${rest}`)
  if (url === null || (url.pathname !== '/' && url.pathname !== '')) return null
  if (url.search !== '' || url.hash !== '' || /[\s\\?#]/.test(rest)) return null
  const port = Number(url.port || URL.parse(`https://${rest}`)?.port || USUAL_PORT[kind])
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '')
  const username = decoded(url.username)
  const password = decoded(url.password)
  if (host === '' || port === 0 || username === null || password === null) return null
  // Basic authentication ends a name at its first colon.
  if (kind !== 'socks5' && username.includes(':')) return null
  if (username === '' && password !== '') return null
  return { kind, host, port, username: username || null, password: password || null }
}

function decoded(part: string): string | null {
  try {
    const plain = decodeURIComponent(part)
    return Buffer.byteLength(plain) > LONGEST_CREDENTIAL || CONTROL.test(plain) ? null : plain
  } catch {
    return null
  }
}

const MASK = '***'

/** The same address with `***` for its password, fit to be shown. */
export function maskedProxy(text: string): string {
  const at = text.lastIndexOf('@')
  if (at < 0) return text
  const begin = (SCHEME.exec(text)?.[0] ?? '').length
  const [username = '', ...password] = text.slice(begin, at).split(':')
  return `${text.slice(0, begin)}${username}${password.length > 0 ? `:${MASK}` : ''}${text.slice(at)}`
}
