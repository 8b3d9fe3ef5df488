/** Why a proxy did not let us through. */

const SAYS = {
  unknown: 'The address of the proxy is not a valid one',
  forbidden: 'The address of the proxy is not allowed on this server',
  unresolved: 'The name of the proxy leads nowhere',
  unreachable: 'The proxy cannot be reached',
  certificate: 'The certificate of the proxy is not valid',
  credentials: 'The proxy does not accept the user name and password',
  refused: 'The proxy refuses to connect there',
  no_way_on: 'The proxy cannot reach the other side',
  closed: 'The proxy has closed the connection',
  tampered: 'What answers behind the proxy does not prove to be WhatsApp',
  no_proxy: 'What answers there is not a proxy of this kind',
  timeout: 'The proxy does not answer in time',
} as const

export type ProxyFailure = keyof typeof SAYS

/** There is no way through the proxy; its message may be shown and names no address. */
export class ProxyFailed extends Error {
  constructor(readonly kind: ProxyFailure) {
    super(SAYS[kind])
    this.name = 'ProxyFailed'
  }
}
