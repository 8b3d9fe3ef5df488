-- Kept files (media-store.ts): `secret` holds the file's own key and what is known of it, sealed under the session's
-- data key, or under a key of uploads when there is no session. Without its row a file on disk cannot be read.
CREATE TABLE files (
  id TEXT PRIMARY KEY NOT NULL,
  tenant TEXT NOT NULL,
  session INTEGER,
  message TEXT,
  size INTEGER NOT NULL,
  secret BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_tenant ON files (tenant);
CREATE INDEX files_by_message ON files (session, message) WHERE session IS NOT NULL;
CREATE INDEX files_by_expiry ON files (expires_at) WHERE expires_at IS NOT NULL;
