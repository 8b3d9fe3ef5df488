/** The composition root: every choice of an adapter is made here, parts start in order and stop in reverse. */
import { join } from 'node:path'
import { version } from '../package.json'
import { createAccess } from './access/access'
import { createAccountRemoval } from './app/account-removal'
import { createAuditPart } from './app/audit-part'
import { createKeyWatch } from './app/key-watch'
import { createListener } from './app/listener'
import { DATABASE, masterKeys, settleMasterKey } from './app/master-key'
import { createMediaDesk, type Outside } from './app/media'
import { claimPurpose, purposeOf } from './app/purpose'
import { embedSandbox } from './app/sandbox'
import type { Config } from './config'
import { fail } from './domain/errors'
import type { TenantId } from './domain/ids'
import { type Allowance, plansOf } from './domain/plans'
import { type ApiParts, createApi } from './http/api'
import { qrDrawing } from './http/qr-format'
import { createUploadLinks } from './http/upload-links'
import { type Clock, systemClock } from './lib/clock'
import { type Part, startAll, stopAll } from './lib/lifecycle'
import { type Log, silentLog } from './lib/log'
import { createTunnels } from './lib/tunnel'
import { createIncoming } from './media/incoming'
import { checkProxyUrl } from './sessions/proxy-check'
import { qrDataUrl, qrPng, qrSvg, qrTerminal } from './sessions/qr-image'
import { createSupervisor, type Supervisor } from './sessions/supervisor'
import { openStorage, type Storage } from './storage/open'
import { createStreams } from './stream/streams'
import { limitsFor } from './webhooks/admission'
import { createWebhookDelivery } from './webhooks/delivery'
import { createSender } from './webhooks/sender'
import { newWebhookSecret } from './webhooks/signature'
import { checkWebhookUrl } from './webhooks/target'
import { reworded } from './whatsapp/baileys/content/reword'
import { createNetwork } from './whatsapp/baileys/network'
import { type Endpoint, WHATSAPP_ENDPOINT } from './whatsapp/baileys/trust'
import { parseVersion } from './whatsapp/baileys/upstream/client-version'

export { version }

/** What a test or a command puts in the place of the usual. */
export type AppParts = {
  log?: Log
  clock?: Clock
  random?: () => number
  /** Requests that the process can have under way at a time; Bun's default unless told otherwise. */
  requestLimit?: number
  /** What names outside mean and how they are asked. */
  outside?: Partial<Omit<Outside, 'ownPort'>>
  /** Short-lived codes and the like; only for tests. */
  sandboxOptions?: Parameters<typeof embedSandbox>[0]['options']
}

export interface App {
  /** `http://host:port`; throws before `start`. */
  readonly url: string
  readonly supervisor: Supervisor
  readonly storage: Storage
  /** The WhatsApp that its sockets connect to. */
  readonly endpoint: Endpoint
  /** The OpenAPI document of this server. */
  openApi(): object
  /** Resolves once requests are answered; sessions come back behind. */
  start(): Promise<void>
  /** Ends everything within ten seconds; devices stay linked. */
  stop(): Promise<void>
}

/** Sessions that log in at the same time after a start. */
const RESUME_CONCURRENCY = 16
const ACK_TIMEOUT = 30_000

/** Milliseconds of a day. */
const DAY = 86_400_000
const MB = 1_000_000

/** Puts the whole product together; nothing listens before `start`. Throws `ConfigError` or `StorageRefused`. */
export async function createApp(config: Config, parts: AppParts = {}): Promise<App> {
  const { clock = systemClock, random = Math.random, log = silentLog } = parts
  const purpose = purposeOf(config)
  const plans = plansOf({ free: config.planFree, pro: config.planPro, enterprise: config.planEnterprise })
  /** Read anew each time, so that another plan counts at once. */
  const allowanceOf = (tenantId: TenantId): Allowance => {
    const plan = storage.accounts.userById(tenantId)?.plan ?? config.defaultPlan
    return { plan, limits: plans[plan] }
  }
  const given = masterKeys(config, log)
  const storage = openStorage({
    file: join(config.dataDir, DATABASE),
    masterKey: given.key,
    ...(given.next ? { nextMasterKey: given.next } : {}),
    clock,
    sync: config.dbSync,
    eventsKept: config.retentionEvents * DAY,
    auditKept: config.retentionAudit * DAY,
    reword: reworded,
    mediaQuota(tenantId) {
      const { media } = allowanceOf(tenantId).limits
      return media === null ? null : media * MB
    },
    log,
  })
  try {
    return await assemble()
  } catch (error) {
    await storage.close()
    throw error
  }

  async function assemble(): Promise<App> {
    settleMasterKey({ config, given, keys: storage.keys, log })
    claimPurpose(storage, purpose)
    let ready = false
    const sandbox =
      purpose === 'sandbox'
        ? await embedSandbox({
            stateFile: join(config.dataDir, 'sandbox.sqlite'),
            clock,
            log,
            ...(parts.sandboxOptions ? { options: parts.sandboxOptions } : {}),
          })
        : null
    const endpoint = sandbox?.endpoint ?? endpointOf(config)
    const outside: Outside = {
      fetch: (url, init) => fetch(url, init),
      ownPort: () => (ready ? Number(new URL(listener.url).port) : null),
      ...parts.outside,
    }
    const tunnels = createTunnels({ ...outside, clock, allowNetworks: config.proxyAllowNetworks })
    const network = createNetwork({
      endpoint,
      tunnels,
      clock,
      log,
      version: config.waVersion === null ? null : parseVersion(config.waVersion),
      versions: {
        load: () => storage.meta.get('wa_version'),
        save: (value) => {
          if (storage.meta.get('wa_version') !== value) storage.meta.set('wa_version', value)
        },
      },
    })
    const policy = { allowInsecure: config.webhookAllowInsecure, allowNetworks: config.webhookAllowNetworks }
    const checkUrl = (url: string) => checkWebhookUrl(url, policy, outside)
    const links = createUploadLinks(storage.keys.secret('links'))
    const files = storage.media
    const { desk, studio } = createMediaDesk({
      config,
      store: files,
      links,
      clock,
      log,
      outside,
      tunnels,
      proxyOf(sessionId) {
        const session = supervisor.find(sessionId)
        if (!session) throw fail('SESSION_NOT_FOUND')
        return session.settings.proxyUrl
      },
    })
    const supervisor = createSupervisor({
      whatsapp: network,
      ...storage,
      desk,
      files,
      received: createIncoming({
        store: files,
        clock,
        maxBytes: config.maxFileMb * MB,
        keptMs: config.retentionMedia * DAY,
      }),
      clock,
      random,
      log,
      options: {
        qrMaxWindows: config.qrMaxWindows,
        resumeConcurrency: RESUME_CONCURRENCY,
        // The plan says it.
        maxQueue: Number.POSITIVE_INFINITY,
        allowanceOf,
        volumeAlert: config.volumeAlert,
        ackTimeoutMs: ACK_TIMEOUT,
        mediaKeptMs: config.retentionMedia * DAY,
        publicUrl: config.publicUrl,
        checkWebhookUrl: checkUrl,
        checkProxyUrl: (url) => checkProxyUrl(url, tunnels),
      },
    })
    const access = createAccess({
      accounts: storage.accounts,
      clock,
      log,
      jwtSecret: config.jwtSecret ?? Buffer.from(storage.keys.secret('tokens')).toString('base64url'),
      registration: config.registration,
      defaultPlan: config.defaultPlan,
      maxKeys: (plan) => plans[plan].keys,
      ...(config.apiKey === null ? {} : { fixedApiKey: config.apiKey }),
    })
    const sender = createSender({ ...policy, ...outside, clock })
    const delivery = createWebhookDelivery({
      ...storage,
      sender,
      clock,
      random,
      log,
      ...(parts.requestLimit === undefined ? {} : { limits: limitsFor(parts.requestLimit) }),
    })
    const streams = createStreams({ journal: storage.journal, clock })
    const removal = createAccountRemoval({ ...storage, supervisor, clock, log })
    const apiParts: ApiParts = {
      ...storage,
      supervisor,
      desk,
      files,
      links,
      maxFileBytes: config.maxFileMb * MB,
      access,
      streams,
      removeAccount: removal.remove,
      stopAccount: removal.stopSessions,
      clock,
      log,
      version,
      drawQr: qrDrawing({ dataUrl: qrDataUrl, png: qrPng, svg: qrSvg, terminal: qrTerminal }),
      webhook: { checkUrl, newSecret: newWebhookSecret, post: sender.post, wake: delivery.wake },
      endpoint: purpose,
      notReady: () => [...(ready ? [] : ['start']), ...(storage.healthy() ? [] : ['storage'])],
      plans,
      attempts: { passwords: config.authAttempts || null, failures: config.authFailures || null },
      trustedProxies: config.trustedProxies,
      corsOrigins: config.corsOrigins,
      publicUrl: config.publicUrl,
      ...(sandbox ? { also: sandbox.routes(supervisor.find), translate: sandbox.translate } : {}),
    }
    const api = createApi(apiParts)
    const listener = createListener({
      app: api.app,
      host: config.host,
      port: config.port,
      clock,
      closeStreams: () => streams.stop(),
    })
    const running: Part[] = [
      { name: 'storage', start: () => undefined, stop: () => storage.close() },
      { name: 'access', start: () => undefined, stop: access.stop },
      { name: 'whatsapp', start: () => undefined, stop: () => network.stop() },
      createAuditPart({ audit: storage.audit, flush: api.flushAudit, version, clock, log }),
      storage.janitor,
      createKeyWatch({ config, given, keys: storage.keys, log }),
      studio,
      supervisor,
      removal,
      delivery,
      streams,
      listener,
    ]
    return {
      supervisor,
      storage,
      endpoint,
      openApi: api.document,
      get url() {
        return listener.url
      },
      async start() {
        await startAll(running)
        ready = true
      },
      async stop() {
        ready = false
        await stopAll(running)
        await sandbox?.stop()
      },
    }
  }
}

/** WhatsApp itself, or the endpoint of the configuration. */
function endpointOf(config: Config): Endpoint {
  if (config.whatsappUrl === null) return WHATSAPP_ENDPOINT
  return {
    url: config.whatsappUrl,
    rootKey: config.whatsappRootKey === null ? null : Buffer.from(config.whatsappRootKey.slice(-64), 'hex'),
    mediaHosts: config.whatsappMediaHosts,
  }
}
