CREATE TABLE meta (
  name TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  username TEXT NOT NULL,
  username_key TEXT NOT NULL,
  email TEXT NOT NULL,
  email_key TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  role TEXT NOT NULL,
  plan TEXT NOT NULL,
  is_active INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX users_by_username ON users (username_key);
CREATE UNIQUE INDEX users_by_email ON users (email_key);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  hash TEXT NOT NULL,
  masked TEXT NOT NULL,
  scopes TEXT,
  is_default INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (hash);
CREATE INDEX api_keys_by_tenant ON api_keys (tenant, created_at);

CREATE TABLE revoked_tokens (
  jti TEXT PRIMARY KEY NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revoked_tokens_by_expiry ON revoked_tokens (expires_at);

CREATE TABLE idempotency (
  tenant TEXT NOT NULL,
  key_hash TEXT NOT NULL,
  request_hash TEXT NOT NULL,
  status INTEGER NOT NULL,
  body BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (tenant, key_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- Short numbers that stand for session ids everywhere else. A number is never given twice; a row whose data_key is NULL
-- belongs to a deleted session and stays as long as the journal speaks of it.
CREATE TABLE session_numbers (
  number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  id TEXT NOT NULL,
  data_key BLOB
) STRICT;
CREATE UNIQUE INDEX session_numbers_by_id ON session_numbers (id);

CREATE TABLE tenant_numbers (
  number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  id TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX tenant_numbers_by_id ON tenant_numbers (id);

CREATE TABLE sessions (
  number INTEGER PRIMARY KEY NOT NULL,
  id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT,
  settings TEXT NOT NULL,
  status TEXT NOT NULL,
  state TEXT NOT NULL,
  credentials TEXT NOT NULL,
  me TEXT,
  phone_number TEXT,
  client_version TEXT,
  last_disconnect TEXT,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_activity INTEGER,
  first_started_at INTEGER,
  connected_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX sessions_by_id ON sessions (id);
CREATE INDEX sessions_by_tenant ON sessions (tenant, created_at);
CREATE INDEX sessions_by_phone ON sessions (phone_number) WHERE phone_number IS NOT NULL;

CREATE TABLE vault (
  session INTEGER NOT NULL,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (session, type, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE inbox (
  id INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  at INTEGER NOT NULL,
  stanza BLOB NOT NULL
) STRICT;
CREATE INDEX inbox_by_session ON inbox (session, id);

-- Everything that has an address in a session: a person (lid, phone or both), a group, a channel.
CREATE TABLE parties (
  number INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  lid TEXT,
  phone TEXT,
  jid TEXT
) STRICT;
CREATE UNIQUE INDEX parties_by_lid ON parties (session, lid) WHERE lid IS NOT NULL;
CREATE UNIQUE INDEX parties_by_phone ON parties (session, phone) WHERE phone IS NOT NULL;
CREATE UNIQUE INDEX parties_by_jid ON parties (session, jid) WHERE jid IS NOT NULL;

CREATE TABLE messages (
  number INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  id TEXT NOT NULL,
  from_me INTEGER NOT NULL,
  chat INTEGER NOT NULL,
  sender INTEGER,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  flags INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  acked_at INTEGER,
  error TEXT,
  body BLOB
) STRICT;
CREATE UNIQUE INDEX messages_by_id ON messages (session, id, from_me);
CREATE INDEX messages_by_time ON messages (session, timestamp);
CREATE INDEX messages_by_chat ON messages (chat, timestamp);
CREATE INDEX messages_by_sender ON messages (sender) WHERE sender IS NOT NULL;
CREATE INDEX messages_queued ON messages (session) WHERE status = 'queued';

CREATE TABLE message_counts (
  session INTEGER NOT NULL,
  day INTEGER NOT NULL,
  from_me INTEGER NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (session, day, from_me, type, status)
) STRICT, WITHOUT ROWID;

CREATE TABLE message_totals (
  session INTEGER PRIMARY KEY NOT NULL,
  sent INTEGER NOT NULL,
  received INTEGER NOT NULL,
  failed INTEGER NOT NULL
) STRICT;

CREATE TABLE journal (
  seq INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  tenant INTEGER NOT NULL,
  event TEXT NOT NULL,
  at INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX journal_by_session ON journal (session, seq);

CREATE TABLE endpoints (
  number INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  id TEXT NOT NULL,
  tenant TEXT NOT NULL,
  session INTEGER,
  url TEXT NOT NULL,
  events TEXT NOT NULL,
  secret BLOB NOT NULL,
  is_active INTEGER NOT NULL,
  from_settings INTEGER NOT NULL,
  since INTEGER NOT NULL,
  doomed INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX endpoints_by_id ON endpoints (id);

CREATE TABLE deliveries (
  endpoint INTEGER NOT NULL,
  session INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  response INTEGER,
  says TEXT,
  duration INTEGER,
  created_at INTEGER NOT NULL,
  finished_at INTEGER,
  PRIMARY KEY (endpoint, session, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_open ON deliveries (endpoint, session, seq) WHERE state = 'open';
CREATE INDEX deliveries_by_session ON deliveries (session);
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- One row for each endpoint and session with something to deliver; due_at belongs to its oldest delivery.
CREATE TABLE lanes (
  endpoint INTEGER NOT NULL,
  session INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (endpoint, session)
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_due ON lanes (due_at);
