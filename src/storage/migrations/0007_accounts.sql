-- People have names; a new password makes older tokens void; keys can be narrowed down.
ALTER TABLE users ADD COLUMN first_name TEXT;
ALTER TABLE users ADD COLUMN last_name TEXT;
ALTER TABLE users ADD COLUMN token_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN kept_token TEXT;
ALTER TABLE users ADD COLUMN leaving INTEGER NOT NULL DEFAULT 0;

ALTER TABLE api_keys ADD COLUMN session_ids TEXT;
ALTER TABLE api_keys ADD COLUMN ip_allowlist TEXT;
ALTER TABLE api_keys ADD COLUMN expires_at INTEGER;
ALTER TABLE api_keys ADD COLUMN last_used_at INTEGER;
