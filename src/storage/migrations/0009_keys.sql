-- Keys of what belongs to no session, each sealed under the master key. The newest of a name seals; older ones of it open
-- what was sealed before them, up to `sealed_to`: the last number in the journal, or the last moment (ms) of an answer.
CREATE TABLE keys (
  name TEXT NOT NULL,
  number INTEGER NOT NULL,
  value BLOB NOT NULL,
  sealed_to INTEGER,
  PRIMARY KEY (name, number)
) STRICT;
