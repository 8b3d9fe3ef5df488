-- What was decrypted lately: as many rows as messages come in within ten minutes, so they stand in the order in which they
-- came and have no index, which would cost each message a page of its own. All ids are kept in memory. They are sealed for
-- the places that they have had in `vault`.
CREATE TABLE plaintexts (
  number INTEGER PRIMARY KEY NOT NULL,
  session INTEGER NOT NULL,
  id TEXT NOT NULL,
  value BLOB NOT NULL
) STRICT;
INSERT INTO plaintexts (session, id, value) SELECT session, id, value FROM vault WHERE type = 'plaintext';
DELETE FROM vault WHERE type = 'plaintext';
