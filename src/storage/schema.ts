/**
 * The tables as Drizzle sees them. The SQL in `migrations/` makes them; a test compares the two.
 *
 * `session` and `tenant` columns of type integer hold the short numbers of `numbers.ts`; blobs are sealed unless a
 * table's own file says otherwise. Times are milliseconds since the epoch.
 */
import {
  blob,
  customType,
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core'
import { PLANS } from '../domain/principal'

const flag = (name: string) => integer(name, { mode: 'boolean' }).notNull()
/** A column of a strict table that takes values of every type. */
const anyValue = customType<{ data: Uint8Array | string }>({ dataType: () => 'any' })
const bytes = (name: string) => blob(name).$type<Uint8Array>()

export const meta = sqliteTable('meta', {
  name: text('name').primaryKey(),
  value: text('value').notNull(),
})

export const users = sqliteTable(
  'users',
  {
    id: text('id').primaryKey(),
    username: text('username').notNull(),
    usernameKey: text('username_key').notNull(),
    email: text('email').notNull(),
    emailKey: text('email_key').notNull(),
    passwordHash: text('password_hash').notNull(),
    role: text('role', { enum: ['admin', 'user'] }).notNull(),
    plan: text('plan', { enum: PLANS }).notNull(),
    isActive: flag('is_active'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    firstName: text('first_name'),
    lastName: text('last_name'),
    tokenEpoch: integer('token_epoch').notNull().default(0),
    keptToken: text('kept_token'),
    leaving: flag('leaving').default(false),
  },
  (t) => [uniqueIndex('users_by_username').on(t.usernameKey), uniqueIndex('users_by_email').on(t.emailKey)],
)

export const apiKeys = sqliteTable(
  'api_keys',
  {
    id: text('id').primaryKey(),
    tenant: text('tenant').notNull(),
    name: text('name').notNull(),
    hash: text('hash').notNull(),
    masked: text('masked').notNull(),
    scopes: text('scopes', { mode: 'json' }).$type<string[]>(),
    isDefault: flag('is_default'),
    createdAt: integer('created_at').notNull(),
    sessionIds: text('session_ids', { mode: 'json' }).$type<string[]>(),
    ipAllowlist: text('ip_allowlist', { mode: 'json' }).$type<string[]>(),
    expiresAt: integer('expires_at'),
    lastUsedAt: integer('last_used_at'),
  },
  (t) => [uniqueIndex('api_keys_by_hash').on(t.hash), index('api_keys_by_tenant').on(t.tenant, t.createdAt)],
)

export const revokedTokens = sqliteTable(
  'revoked_tokens',
  { jti: text('jti').primaryKey(), expiresAt: integer('expires_at').notNull() },
  (t) => [index('revoked_tokens_by_expiry').on(t.expiresAt)],
)

export const idempotency = sqliteTable(
  'idempotency',
  {
    tenant: text('tenant').notNull(),
    keyHash: text('key_hash').notNull(),
    requestHash: text('request_hash').notNull(),
    status: integer('status').notNull(),
    body: bytes('body').notNull(),
    createdAt: integer('created_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.tenant, t.keyHash] }), index('idempotency_by_age').on(t.createdAt)],
)

export const sessionNumbers = sqliteTable(
  'session_numbers',
  {
    number: integer('number').primaryKey({ autoIncrement: true }),
    id: text('id').notNull(),
    dataKey: bytes('data_key'),
    lastTold: integer('last_told'),
  },
  (t) => [uniqueIndex('session_numbers_by_id').on(t.id)],
)

export const tenantNumbers = sqliteTable(
  'tenant_numbers',
  { number: integer('number').primaryKey({ autoIncrement: true }), id: text('id').notNull() },
  (t) => [uniqueIndex('tenant_numbers_by_id').on(t.id)],
)

export const sessions = sqliteTable(
  'sessions',
  {
    number: integer('number').primaryKey(),
    id: text('id').notNull(),
    tenant: text('tenant').notNull(),
    name: text('name').notNull(),
    description: text('description'),
    settings: text('settings').notNull(),
    status: text('status').notNull(),
    state: text('state').notNull(),
    credentials: text('credentials').notNull(),
    me: text('me'),
    phoneNumber: text('phone_number'),
    clientVersion: text('client_version'),
    lastDisconnect: text('last_disconnect'),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    lastActivity: integer('last_activity'),
    firstStartedAt: integer('first_started_at'),
    connectedMs: integer('connected_ms').notNull(),
    restriction: text('restriction'),
    outage: text('outage'),
    late: integer('late').notNull().default(0),
    proxy: bytes('proxy'),
  },
  (t) => [
    uniqueIndex('sessions_by_id').on(t.id),
    index('sessions_by_tenant').on(t.tenant, t.createdAt),
    index('sessions_by_phone').on(t.phoneNumber),
  ],
)

export const sessionTimeline = sqliteTable(
  'session_timeline',
  {
    number: integer('number').primaryKey(),
    session: integer('session').notNull(),
    at: integer('at').notNull(),
    status: text('status').notNull(),
    cause: text('cause').notNull(),
    reason: text('reason'),
    detail: text('detail'),
  },
  (t) => [index('session_timeline_by_session').on(t.session, t.number)],
)

export const vault = sqliteTable(
  'vault',
  {
    session: integer('session').notNull(),
    type: text('type').notNull(),
    id: text('id').notNull(),
    value: bytes('value').notNull(),
  },
  (t) => [uniqueIndex('vault_by_id').on(t.session, t.type, t.id)],
)

export const plaintexts = sqliteTable('plaintexts', {
  number: integer('number').primaryKey(),
  session: integer('session').notNull(),
  id: text('id').notNull(),
  value: bytes('value').notNull(),
})

export const inbox = sqliteTable(
  'inbox',
  {
    id: integer('id').primaryKey(),
    session: integer('session').notNull(),
    at: integer('at').notNull(),
    stanza: bytes('stanza').notNull(),
  },
  (t) => [index('inbox_by_session').on(t.session, t.id)],
)

export const parties = sqliteTable(
  'parties',
  {
    number: integer('number').primaryKey(),
    session: integer('session').notNull(),
    lid: text('lid'),
    phone: text('phone'),
    jid: text('jid'),
  },
  (t) => [
    uniqueIndex('parties_by_lid').on(t.session, t.lid),
    uniqueIndex('parties_by_phone').on(t.session, t.phone),
    uniqueIndex('parties_by_jid').on(t.session, t.jid),
  ],
)

/** Types, statuses and ids as `codes.ts` has them; an id is bytes or text. */
export const messages = sqliteTable(
  'messages',
  {
    number: integer('number').primaryKey(),
    session: integer('session').notNull(),
    id: anyValue('id').notNull(),
    fromMe: flag('from_me'),
    chat: integer('chat').notNull(),
    sender: integer('sender'),
    type: integer('type').notNull(),
    status: integer('status').notNull(),
    flags: integer('flags').notNull(),
    timestamp: integer('timestamp').notNull(),
    body: bytes('body'),
    ackedAt: integer('acked_at'),
    error: text('error'),
    sendAt: integer('send_at'),
    expiresAt: integer('expires_at'),
    attachment: bytes('attachment'),
    told: integer('told'),
  },
  (t) => [
    uniqueIndex('messages_by_id').on(t.session, t.id, t.fromMe),
    index('messages_by_time').on(t.session, t.timestamp),
    index('messages_by_chat').on(t.chat, t.timestamp),
    index('messages_by_sender').on(t.sender, t.timestamp),
    index('messages_by_type').on(t.session, t.type, t.timestamp),
    index('messages_queued').on(t.session),
    index('messages_failed').on(t.session, t.timestamp),
    index('messages_starred').on(t.session, t.timestamp),
    index('messages_by_action_chat').on(t.chat),
  ],
)

export const acts = sqliteTable(
  'acts',
  {
    session: integer('session').notNull(),
    target: anyValue('target').notNull(),
    kind: integer('kind').notNull(),
    slot: integer('slot').notNull(),
    action: integer('action').notNull(),
    at: integer('at').notNull(),
    side: integer('side'),
    until: integer('until'),
  },
  (t) => [
    primaryKey({ columns: [t.session, t.target, t.kind, t.slot] }),
    index('acts_by_slot').on(t.slot),
    index('acts_open').on(t.session),
  ],
)

export const messageCounts = sqliteTable(
  'message_counts',
  {
    session: integer('session').notNull(),
    day: integer('day').notNull(),
    fromMe: flag('from_me'),
    type: text('type').notNull(),
    status: text('status').notNull(),
    history: flag('history'),
    count: integer('count').notNull(),
  },
  (t) => [primaryKey({ columns: [t.session, t.day, t.fromMe, t.type, t.status, t.history] })],
)

export const messageTotals = sqliteTable('message_totals', {
  session: integer('session').primaryKey(),
  sent: integer('sent').notNull(),
  received: integer('received').notNull(),
  failed: integer('failed').notNull(),
})

export const journal = sqliteTable('journal', {
  seq: integer('seq').primaryKey(),
  session: integer('session').notNull(),
  tenant: integer('tenant').notNull(),
  event: text('event').notNull(),
  at: integer('at').notNull(),
  body: bytes('body').notNull(),
})

export const endpoints = sqliteTable(
  'endpoints',
  {
    number: integer('number').primaryKey({ autoIncrement: true }),
    id: text('id').notNull(),
    tenant: text('tenant').notNull(),
    session: integer('session'),
    url: text('url').notNull(),
    events: text('events').notNull(),
    secret: bytes('secret').notNull(),
    isActive: flag('is_active'),
    fromSettings: flag('from_settings'),
    since: integer('since').notNull(),
    doomed: flag('doomed'),
    createdAt: integer('created_at').notNull(),
    description: text('description'),
    headers: bytes('headers'),
    oldSecret: bytes('old_secret'),
    oldSecretUntil: integer('old_secret_until'),
    failingSince: integer('failing_since'),
    disabledReason: text('disabled_reason'),
    isConfig: flag('is_config').default(false),
  },
  (t) => [uniqueIndex('endpoints_by_id').on(t.id)],
)

export const deliveries = sqliteTable(
  'deliveries',
  {
    endpoint: integer('endpoint').notNull(),
    session: integer('session').notNull(),
    seq: integer('seq').notNull(),
    state: text('state').notNull(),
    attempts: integer('attempts').notNull(),
    response: integer('response'),
    says: text('says'),
    duration: integer('duration'),
    createdAt: integer('created_at').notNull(),
    finishedAt: integer('finished_at'),
    event: integer('event'),
    dueAt: integer('due_at'),
  },
  (t) => [
    primaryKey({ columns: [t.endpoint, t.session, t.seq] }),
    index('deliveries_open').on(t.endpoint, t.session, t.seq),
    index('deliveries_aside').on(t.endpoint, t.session, t.dueAt, t.seq, t.attempts),
    index('deliveries_dead').on(t.session, t.seq),
    index('deliveries_by_session').on(t.session, t.seq, t.event),
    index('deliveries_finished').on(t.finishedAt),
  ],
)

export const files = sqliteTable(
  'files',
  {
    id: text('id').primaryKey(),
    tenant: text('tenant').notNull(),
    session: integer('session'),
    message: text('message'),
    size: integer('size').notNull(),
    secret: bytes('secret').notNull(),
    createdAt: integer('created_at').notNull(),
    expiresAt: integer('expires_at'),
  },
  (t) => [
    index('files_by_tenant').on(t.tenant),
    index('files_by_message').on(t.session, t.message),
    index('files_by_expiry').on(t.expiresAt),
  ],
)

export const lanes = sqliteTable(
  'lanes',
  {
    endpoint: integer('endpoint').notNull(),
    session: integer('session').notNull(),
    aside: flag('aside'),
    dueAt: integer('due_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.endpoint, t.session, t.aside] }), index('lanes_due').on(t.dueAt)],
)

export const webhookCounts = sqliteTable(
  'webhook_counts',
  {
    session: integer('session').notNull(),
    event: integer('event').notNull(),
    successful: integer('successful').notNull(),
    failed: integer('failed').notNull(),
    totalMs: integer('total_ms').notNull(),
    lastAt: integer('last_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.session, t.event] })],
)

export const keys = sqliteTable(
  'keys',
  {
    name: text('name').notNull(),
    number: integer('number').notNull(),
    value: bytes('value').notNull(),
    sealedTo: integer('sealed_to'),
  },
  (t) => [primaryKey({ columns: [t.name, t.number] })],
)

export const audit = sqliteTable(
  'audit',
  {
    number: integer('number').primaryKey(),
    at: integer('at').notNull(),
    account: text('account'),
    credential: text('credential'),
    action: text('action').notNull(),
    object: text('object'),
    session: text('session'),
    result: text('result').notNull(),
    count: integer('count').notNull(),
    fields: text('fields').notNull(),
    origin: bytes('origin'),
    hash: bytes('hash').notNull(),
  },
  (t) => [
    index('audit_by_account').on(t.account, t.number),
    index('audit_by_session').on(t.session, t.number),
  ],
)

export const auditOrigins = sqliteTable('audit_origins', {
  number: integer('number').primaryKey(),
  salt: bytes('salt').notNull(),
  address: text('address'),
  agent: text('agent'),
})

export const auditOpen = sqliteTable('audit_open', {
  id: integer('id').primaryKey(),
  entry: text('entry').notNull(),
})
