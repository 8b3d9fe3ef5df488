-- Headers may carry tokens: they are sealed as secrets are.
ALTER TABLE endpoints ADD COLUMN description TEXT;
ALTER TABLE endpoints ADD COLUMN headers BLOB;
ALTER TABLE endpoints ADD COLUMN old_secret BLOB;
ALTER TABLE endpoints ADD COLUMN old_secret_until INTEGER;
ALTER TABLE endpoints ADD COLUMN failing_since INTEGER;
ALTER TABLE endpoints ADD COLUMN disabled_reason TEXT;
ALTER TABLE endpoints ADD COLUMN is_config INTEGER NOT NULL DEFAULT 0;
UPDATE endpoints SET is_config = 1 WHERE from_settings = 0 AND session IS NOT NULL;

-- Events as `event-codes.ts` has them; due_at stands at those that are set aside, the lane has it for all others.
ALTER TABLE deliveries ADD COLUMN event INTEGER;
ALTER TABLE deliveries ADD COLUMN due_at INTEGER;
CREATE INDEX deliveries_aside ON deliveries (endpoint, session, due_at, seq, attempts) WHERE state = 'aside';
CREATE INDEX deliveries_dead ON deliveries (session, seq) WHERE state = 'dead';
DROP INDEX deliveries_by_session;
CREATE INDEX deliveries_by_session ON deliveries (session, seq, event);

-- A lane has a side lane for what is set aside.
CREATE TABLE lanes_2 (
  endpoint INTEGER NOT NULL,
  session INTEGER NOT NULL,
  aside INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (endpoint, session, aside)
) STRICT, WITHOUT ROWID;
INSERT INTO lanes_2 (endpoint, session, aside, due_at) SELECT endpoint, session, 0, due_at FROM lanes;
DROP TABLE lanes;
ALTER TABLE lanes_2 RENAME TO lanes;
CREATE INDEX lanes_due ON lanes (due_at);

-- What was posted, by session and event.
CREATE TABLE webhook_counts (
  session INTEGER NOT NULL,
  event INTEGER NOT NULL,
  successful INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  total_ms INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (session, event)
) STRICT, WITHOUT ROWID;
