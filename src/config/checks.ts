/** What a schema cannot say: values that do not fit each other, and forms of single values. */
import type { Config } from '../config'
import { DEFAULT_PLANS, readPlan } from '../domain/plans'
import { isNetwork } from '../lib/networks'

/** `name` is the variable or flag, `says` a sentence for the operator. */
export type Problem = { name: string; says: string }
type Check = (config: Config) => Problem[]

const when = (wrong: boolean, name: string, says: string): Problem[] => (wrong ? [{ name, says }] : [])

const isUrl = (text: string, protocols: readonly string[]): boolean =>
  URL.canParse(text) && protocols.includes(new URL(text).protocol)

export const CONFIG_CHECKS: readonly Check[] = [
  ({ masterKey }) =>
    when(
      masterKey !== null && Buffer.from(masterKey, 'base64').length !== 32,
      'MASTER_KEY',
      'Must be 32 bytes in base64 (make one with: openssl rand -base64 32)',
    ),
  ({ masterKey, masterKeyFile }) =>
    when(
      masterKey !== null && masterKeyFile !== null,
      'MASTER_KEY_FILE',
      'Give MASTER_KEY or MASTER_KEY_FILE, not both',
    ),
  ({ jwtSecret }) =>
    when(jwtSecret !== null && jwtSecret.length < 32, 'JWT_SECRET', 'Must have at least 32 characters'),
  ({ apiKey }) => when(apiKey !== null && apiKey.length < 32, 'API_KEY', 'Must have at least 32 characters'),
  ({ publicUrl }) =>
    when(
      publicUrl !== null && !isUrl(publicUrl, ['http:', 'https:']),
      'PUBLIC_URL',
      'Must be an http or https URL',
    ),
  ({ planFree, planPro, planEnterprise }) => [
    ...readPlan(planFree, DEFAULT_PLANS.free).problems.map((says) => ({ name: 'PLAN_FREE', says })),
    ...readPlan(planPro, DEFAULT_PLANS.pro).problems.map((says) => ({ name: 'PLAN_PRO', says })),
    ...readPlan(planEnterprise, DEFAULT_PLANS.enterprise).problems.map((says) => ({
      name: 'PLAN_ENTERPRISE',
      says,
    })),
  ],
  ({ trustedProxies }) => networks('TRUSTED_PROXIES', trustedProxies),
  ({ webhookAllowNetworks }) => networks('WEBHOOK_ALLOW_NETWORKS', webhookAllowNetworks),
  ({ mediaAllowNetworks }) => networks('MEDIA_ALLOW_NETWORKS', mediaAllowNetworks),
  ({ proxyAllowNetworks }) => networks('PROXY_ALLOW_NETWORKS', proxyAllowNetworks),
  ({ corsOrigins }) =>
    corsOrigins.flatMap((origin) =>
      when(
        !isUrl(origin, ['http:', 'https:']) || new URL(origin).origin !== origin,
        'CORS_ORIGINS',
        `"${origin}" is not an origin like https://app.example.com; a wildcard is not accepted`,
      ),
    ),
  ({ sandbox, whatsappUrl }) =>
    when(
      sandbox && whatsappUrl !== null,
      'SANDBOX',
      'SANDBOX=true runs its own WhatsApp and cannot be combined with WHATSAPP_URL',
    ),
  ({ whatsappUrl }) =>
    when(
      whatsappUrl !== null && !isUrl(whatsappUrl, ['ws:', 'wss:']),
      'WHATSAPP_URL',
      'Must be a ws or wss URL',
    ),
  ({ whatsappUrl, whatsappRootKey }) =>
    when(
      whatsappRootKey !== null && !isForeign(whatsappUrl),
      'WHATSAPP_ROOT_KEY',
      'A root key of your own is accepted only together with a WHATSAPP_URL that is not WhatsApp’s',
    ),
  ({ whatsappRootKey }) =>
    when(
      whatsappRootKey !== null && !/^(?:05)?[0-9a-f]{64}$/i.test(whatsappRootKey),
      'WHATSAPP_ROOT_KEY',
      'Must be 32 bytes in hex',
    ),
  ({ whatsappUrl, whatsappMediaHosts }) => [
    ...when(
      whatsappMediaHosts.length > 0 && !isForeign(whatsappUrl),
      'WHATSAPP_MEDIA_HOSTS',
      'Media hosts are accepted only together with a WHATSAPP_URL that is not WhatsApp’s',
    ),
    ...whatsappMediaHosts.flatMap((host) =>
      when(
        !/^[A-Za-z0-9.-]+(?::\d{1,5})?$|^\[[0-9a-f:]+\](?::\d{1,5})?$/i.test(host),
        'WHATSAPP_MEDIA_HOSTS',
        `"${host}" is not host:port`,
      ),
    ),
  ],
  ({ waVersion }) =>
    when(
      waVersion !== null && !/^\d{1,5}\.\d{1,6}\.\d{1,12}$/.test(waVersion),
      'WA_VERSION',
      'Must look like 2.3000.1234567',
    ),
]

const networks = (name: string, entries: readonly string[]): Problem[] =>
  entries.flatMap((entry) => when(!isNetwork(entry), name, `"${entry}" is not an address or CIDR range`))

/** True for an endpoint that is not one of WhatsApp's own hosts. */
export function isForeign(url: string | null): boolean {
  if (url === null || !URL.canParse(url)) return false
  const { hostname } = new URL(url)
  return !/(?:^|\.)whatsapp\.(?:com|net)$/i.test(hostname)
}
