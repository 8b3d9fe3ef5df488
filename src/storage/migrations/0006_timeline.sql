-- A session knows since when it was not through, how many messages have come late since, and what became of it before.
ALTER TABLE sessions ADD COLUMN outage TEXT;
ALTER TABLE sessions ADD COLUMN late INTEGER NOT NULL DEFAULT 0;

CREATE TABLE session_timeline (
  number INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  at INTEGER NOT NULL,
  status TEXT NOT NULL,
  cause TEXT NOT NULL,
  reason TEXT,
  detail TEXT
) STRICT;
CREATE INDEX session_timeline_by_session ON session_timeline (session, number);
