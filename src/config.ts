/**
 * Configuration: one schema, read once, every value with its source.
 *
 * A property is named in camel case here; its environment variable is the same words in upper case (`dataDir` →
 * `DATA_DIR`, also accepted as `WABUN_DATA_DIR`), its flag the same words with dashes (`--data-dir`). A flag wins over
 * the prefixed variable, that over the plain one. Unknown flags and unknown `WABUN_*` variables are problems, never ignored.
 */
import { resolve } from 'node:path'
import { type Static, Type } from '@sinclair/typebox'
import { CONFIG_CHECKS, type Problem } from './config/checks'
import { nearest } from './config/nearest'
import { parseValue, type ValueSchema } from './config/values'
import { DEFAULT_PLANS, PLAN_LIMITS, planText } from './domain/plans'
import { PLANS, type Plan } from './domain/principal'
import { LOG_LEVELS } from './lib/log'

const words = <const T extends string>(values: readonly T[], options: object) =>
  Type.Union(
    values.map((value) => Type.Literal(value)),
    options,
  )
const optional = (options: object) => Type.Union([Type.String({ minLength: 1 }), Type.Null()], options)
const list = (options: object) => Type.Array(Type.String({ minLength: 1 }), { default: [], ...options })
const plan = (name: Plan, also = '') =>
  list({
    description: `What the plan ${name} allows, where it is not ${planText(DEFAULT_PLANS[name])}${also}`,
  })

export const ConfigSchema = Type.Object({
  host: Type.String({
    default: '127.0.0.1',
    minLength: 1,
    description: 'Address to listen on; anything but loopback is open to the network',
  }),
  port: Type.Integer({
    default: 3000,
    minimum: 0,
    maximum: 65_535,
    description: 'TCP port; 0 takes a free one',
  }),
  dataDir: Type.String({
    default: './data',
    minLength: 1,
    description: 'Directory of database and keys; created with mode 0700',
  }),
  masterKey: optional({
    default: null,
    secret: true,
    description: '32 bytes in base64; encrypts credentials and content. Generated into DATA_DIR when missing',
  }),
  masterKeyFile: optional({
    default: null,
    description: 'File that holds the master key, instead of MASTER_KEY',
  }),
  masterKeyNext: optional({
    default: null,
    secret: true,
    description: 'Another master key, in base64: the next start, or `wabun key rotate`, changes to it',
  }),
  jwtSecret: optional({
    default: null,
    secret: true,
    description:
      'Signs tokens; at least 32 characters. Drawn once and kept sealed in the database when missing',
  }),
  registration: words(['first', 'open'], {
    default: 'first',
    description:
      'first: the first account becomes the owner, later ones are refused; open: anybody may register',
  }),
  defaultPlan: words(PLANS, { default: 'free', description: 'Plan of accounts after the first' }),
  planFree: plan(
    'free',
    `. ${Object.entries(PLAN_LIMITS)
      .map(([name, says]) => `${name}: ${says}`)
      .join('; ')}`,
  ),
  planPro: plan('pro'),
  planEnterprise: plan('enterprise'),
  authAttempts: Type.Integer({
    default: 5,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Logins, registrations and other uses of a password that an address has in a minute; 0 = any number. Behind a proxy that TRUSTED_PROXIES does not name, all callers have one address',
  }),
  authFailures: Type.Integer({
    default: 60,
    minimum: 0,
    maximum: 1_000_000,
    description:
      'Refused keys and tokens of an address in a minute, after which the answer is 429 in place of 401; good ones are served all the same; 0 = any number',
  }),
  volumeAlert: Type.Integer({
    default: 1000,
    minimum: 0,
    maximum: 1_000_000_000,
    description:
      'Messages that a session may send within an hour of the clock before session.volume_alert is told, once for that hour; 0 = never',
  }),
  apiKey: optional({
    default: null,
    secret: true,
    description: 'Fixed API key of the owner, for unattended installs; at least 32 characters',
  }),
  publicUrl: optional({ default: null, description: 'Address under which clients reach this server' }),
  trustedProxies: list({
    description: 'Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed',
  }),
  corsOrigins: list({ description: 'Browser origins that may call this server' }),
  webhookAllowInsecure: Type.Boolean({
    default: false,
    description: 'Allow http webhooks and webhooks to private addresses',
  }),
  webhookAllowNetworks: list({
    description: 'CIDR ranges of private networks that webhooks may reach',
  }),
  mediaAllowNetworks: list({
    description: 'CIDR ranges of private networks from which files to be sent may be fetched',
  }),
  proxyAllowNetworks: list({
    description:
      'CIDR ranges of private networks in which proxies of sessions may stand; such a proxy reaches what its network does',
  }),
  maxFileMb: Type.Integer({
    default: 100,
    minimum: 1,
    maximum: 2048,
    description: 'Largest document or video that is sent or fetched from WhatsApp, in megabytes',
  }),
  logLevel: words(LOG_LEVELS, { default: 'info', description: 'Least severity that is logged' }),
  logFormat: words(['auto', 'json', 'pretty'], {
    default: 'auto',
    description: 'auto: pretty on a terminal, else json',
  }),
  sandbox: Type.Boolean({
    default: false,
    description: 'Run the simulated WhatsApp inside this process and connect all sessions to it',
  }),
  whatsappUrl: optional({
    default: null,
    description: 'WebSocket address of another WhatsApp endpoint (ws: or wss:)',
  }),
  whatsappRootKey: optional({
    default: null,
    description: 'Public key in hex (32 bytes) that signs the certificate chain of WHATSAPP_URL',
  }),
  whatsappMediaHosts: list({
    description: 'Media hosts of WHATSAPP_URL, as host:port; their CA through NODE_EXTRA_CA_CERTS',
  }),
  waVersion: optional({ default: null, description: 'WhatsApp Web version to announce, as 2.3000.1234567' }),
  qrMaxWindows: Type.Integer({
    default: 1,
    minimum: 1,
    maximum: 1000,
    description: 'Pairing windows (about 160 s each) opened in a row when nobody scans',
  }),
  retentionEvents: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 36_500,
    unit: 'd',
    description: 'Days that events can be replayed',
  }),
  retentionMedia: Type.Integer({
    default: 30,
    minimum: 1,
    maximum: 36_500,
    unit: 'd',
    description: 'Days that the files of messages are kept; WhatsApp’s own copy lasts about as long',
  }),
  retentionAudit: Type.Integer({
    default: 365,
    minimum: 1,
    maximum: 36_500,
    unit: 'd',
    description: 'Days that entries of the audit log are kept',
  }),
  dbSync: words(['full', 'normal'], {
    default: 'full',
    description:
      'full: on disk before it is acknowledged, also at a power cut; normal: at a crash of the process',
  }),
})
export type Config = Static<typeof ConfigSchema>
export type ConfigKey = keyof Config

export const CONFIG_KEYS = Object.keys(ConfigSchema.properties) as ConfigKey[]
export const PREFIX = 'WABUN_'

/** `dataDir` → `DATA_DIR` */
export const variableOf = (key: string): string =>
  key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
/** `dataDir` → `--data-dir` */
export const flagOf = (key: string): string =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

export const schemaOf = (key: ConfigKey): ValueSchema => ConfigSchema.properties[key] as ValueSchema
export const isSecret = (key: ConfigKey): boolean => schemaOf(key).secret === true

/** Where a value came from: `default`, a variable's name or a flag's. */
export type Reading = { config: Config; sources: Record<ConfigKey, string>; problems: Problem[] }

/** Thrown when the configuration cannot be used; `problems` are sentences for the operator. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly Problem[]) {
    super(problems.map((problem) => `${problem.name}: ${problem.says}`).join('\n'))
    this.name = 'ConfigError'
  }
}

export type ConfigInput = {
  env: Record<string, string | undefined>
  /** Flag name (`--port`) → value; `true` for a flag without one. */
  flags?: Record<string, string | true>
}

/** Reads everything and collects all problems, so that an operator sees them at once. */
export function readConfig({ env, flags = {} }: ConfigInput): Reading {
  const problems: Problem[] = [...unknownNames(env, flags)]
  const values: Record<string, unknown> = {}
  const sources = {} as Record<ConfigKey, string>
  for (const key of CONFIG_KEYS) {
    const given = givenValue(key, env, flags)
    sources[key] = given?.source ?? 'default'
    const parsed = given ? parseValue(schemaOf(key), given.text) : { value: schemaOf(key).default }
    if ('problem' in parsed) problems.push({ name: given?.source ?? key, says: parsed.problem })
    values[key] = 'value' in parsed ? parsed.value : schemaOf(key).default
  }
  const config = values as Config
  config.dataDir = resolve(config.dataDir)
  for (const check of CONFIG_CHECKS) problems.push(...check(config))
  return { config, sources, problems }
}

/** The configuration, or a `ConfigError` with everything that is wrong with it. */
export function loadConfig(input: ConfigInput): Config {
  const { config, problems } = readConfig(input)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function givenValue(
  key: ConfigKey,
  env: ConfigInput['env'],
  flags: Record<string, string | true>,
): { text: string; source: string } | null {
  const flag = flags[flagOf(key)]
  if (flag !== undefined) return { text: flag === true ? 'true' : flag, source: flagOf(key) }
  const variable = variableOf(key)
  for (const name of [PREFIX + variable, variable]) {
    const text = env[name]
    // An empty variable is how shells and compose files say "not set".
    if (text !== undefined && text.trim() !== '') return { text: text.trim(), source: name }
  }
  return null
}

function unknownNames(env: ConfigInput['env'], flags: Record<string, string | true>): Problem[] {
  const variables = CONFIG_KEYS.map((key) => PREFIX + variableOf(key))
  const known = CONFIG_KEYS.map(flagOf)
  const complain = (name: string, names: readonly string[], what: string): Problem => {
    const near = nearest(name, names)
    return { name, says: `There is no such ${what}${near ? `; did you mean ${near}?` : ''}` }
  }
  return [
    ...Object.keys(env)
      .filter((name) => name.startsWith(PREFIX) && !variables.includes(name))
      .map((name) => complain(name, variables, 'setting')),
    ...Object.keys(flags)
      .filter((name) => !known.includes(name))
      .map((name) => complain(name, known, 'flag')),
  ]
}

/** A value as it may be printed: secrets are told only to be there. */
export function shownValue(key: ConfigKey, config: Config): string {
  const value = config[key]
  if (value === null) return '(none)'
  if (isSecret(key)) return '(set, not shown)'
  return Array.isArray(value) ? value.join(', ') || '(none)' : String(value)
}
