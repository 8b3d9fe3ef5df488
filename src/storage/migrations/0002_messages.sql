ALTER TABLE sessions ADD COLUMN restriction TEXT;

-- Types, statuses and ids as `codes.ts` has them; types from 64 on act on another message. `sender` is NULL for own
-- messages and for those that the chat itself has written. `told` is the number of the
-- event that is packed beside `body`. The five columns before it are NULL for nearly every row.
CREATE TABLE messages_2 (
  number INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  id ANY NOT NULL,
  from_me INTEGER NOT NULL,
  chat INTEGER NOT NULL,
  sender INTEGER,
  type INTEGER NOT NULL,
  status INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  body BLOB,
  acked_at INTEGER,
  error TEXT,
  send_at INTEGER,
  expires_at INTEGER,
  attachment BLOB,
  told INTEGER
) STRICT;
INSERT INTO messages_2
SELECT
  number,
  session,
  CASE WHEN id <> '' AND length(id) % 2 = 0 AND id NOT GLOB '*[^0-9A-F]*' THEN unhex(id) ELSE id END,
  from_me,
  chat,
  CASE WHEN sender = chat THEN NULL ELSE sender END,
  CASE type
    WHEN 'text' THEN 0
    WHEN 'image' THEN 1
    WHEN 'video' THEN 2
    WHEN 'audio' THEN 3
    WHEN 'document' THEN 4
    WHEN 'sticker' THEN 5
    WHEN 'location' THEN 7
    WHEN 'contact' THEN 8
    WHEN 'poll' THEN 9
    WHEN 'reaction' THEN 64
    ELSE 63
  END,
  CASE status
    WHEN 'received' THEN 0
    WHEN 'sent' THEN 1
    WHEN 'queued' THEN 2
    WHEN 'failed' THEN 3
    WHEN 'delivered' THEN 4
    WHEN 'read' THEN 5
    WHEN 'played' THEN 6
  END,
  flags,
  timestamp,
  body,
  acked_at,
  error,
  NULL,
  NULL,
  NULL,
  NULL
FROM messages;
DROP TABLE messages;
ALTER TABLE messages_2 RENAME TO messages;
CREATE UNIQUE INDEX messages_by_id ON messages (session, id, from_me);
CREATE INDEX messages_by_time ON messages (session, timestamp) WHERE type < 64;
CREATE INDEX messages_by_chat ON messages (chat, timestamp) WHERE type < 64;
CREATE INDEX messages_by_sender ON messages (sender, timestamp) WHERE sender IS NOT NULL;
-- Texts are most of all messages: whoever wants those walks by time.
CREATE INDEX messages_by_type ON messages (session, type, timestamp) WHERE type > 0;
CREATE INDEX messages_queued ON messages (session) WHERE status = 2;
CREATE INDEX messages_failed ON messages (session, timestamp) WHERE status = 3;
CREATE INDEX messages_starred ON messages (session, timestamp) WHERE flags & 16 <> 0;
CREATE INDEX messages_by_action_chat ON messages (chat) WHERE type >= 64;

-- What messages that act on others have done, one row for what each person has one of (a reaction, a vote, a pin), and
-- one for each edit and deletion. `side`: the target's from_me, NULL while it has not been applied. `slot`: the person's
-- party, 0 for us, and minus the action's own number where all are kept.
CREATE TABLE acts (
  session INTEGER NOT NULL,
  target ANY NOT NULL,
  kind INTEGER NOT NULL,
  slot INTEGER NOT NULL,
  action INTEGER NOT NULL,
  at INTEGER NOT NULL,
  side INTEGER,
  until INTEGER,
  PRIMARY KEY (session, target, kind, slot)
) STRICT, WITHOUT ROWID;
CREATE INDEX acts_by_slot ON acts (slot) WHERE slot > 0;
CREATE INDEX acts_open ON acts (session) WHERE side IS NULL;

CREATE TABLE message_counts_2 (
  session INTEGER NOT NULL,
  day INTEGER NOT NULL,
  from_me INTEGER NOT NULL,
  type TEXT NOT NULL,
  status TEXT NOT NULL,
  history INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (session, day, from_me, type, status, history)
) STRICT, WITHOUT ROWID;
INSERT INTO message_counts_2 SELECT session, day, from_me, type, status, 0, count FROM message_counts;
DROP TABLE message_counts;
ALTER TABLE message_counts_2 RENAME TO message_counts;

-- Keyed hashes of words, by the number of their message; holds no text.
CREATE VIRTUAL TABLE search USING fts5(words, content='', contentless_delete=1, detail=none, tokenize='ascii');
