-- A commit costs what it writes, page by page. An index of the journal by session wrote one page for every session of a
-- commit, for the sake of rare deletions; and a key record of 1.5 KB fits a row of a table, but not a row of an index.
DROP INDEX journal_by_session;

CREATE TABLE vault_rows (
  session INTEGER NOT NULL,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  value BLOB NOT NULL
) STRICT;
INSERT INTO vault_rows (session, type, id, value) SELECT session, type, id, value FROM vault;
DROP TABLE vault;
ALTER TABLE vault_rows RENAME TO vault;
CREATE UNIQUE INDEX vault_by_id ON vault (session, type, id);

-- Of a deleted session: the entry of the journal after which nothing speaks of it any more.
ALTER TABLE session_numbers ADD COLUMN last_told INTEGER;
UPDATE session_numbers SET last_told = (SELECT max(seq) FROM journal WHERE journal.session = session_numbers.number)
  WHERE data_key IS NULL;
