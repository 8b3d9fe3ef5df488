-- Who did what. Rows are only added: in order of their numbers, never changed, and removed only from the front, up to the
-- anchor. The chain of hashes finds what gets around these triggers.
CREATE TABLE audit (
  number INTEGER PRIMARY KEY NOT NULL,
  at INTEGER NOT NULL,
  account TEXT,
  credential TEXT,
  action TEXT NOT NULL,
  object TEXT,
  session TEXT,
  result TEXT NOT NULL,
  count INTEGER NOT NULL,
  fields TEXT NOT NULL,
  origin BLOB,
  hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_by_account ON audit (account, number);
CREATE INDEX audit_by_session ON audit (session, number);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit log is not changed');
END;
CREATE TRIGGER audit_grows_at_its_end BEFORE INSERT ON audit
WHEN NEW.number <= coalesce(
  (SELECT max(number) FROM audit),
  (SELECT json_extract(value, '$.number') FROM meta WHERE name = 'audit_anchor'),
  0) BEGIN
  SELECT RAISE(ABORT, 'the audit log grows at its end');
END;
CREATE TRIGGER audit_goes_from_the_front BEFORE DELETE ON audit
WHEN OLD.number > coalesce((SELECT json_extract(value, '$.number') FROM meta WHERE name = 'audit_anchor'), 0) BEGIN
  SELECT RAISE(ABORT, 'the audit log is not shortened');
END;

-- From where; apart, so that it can go with an account while the chain stays whole: a row there covers only the hash.
CREATE TABLE audit_origins (
  number INTEGER PRIMARY KEY NOT NULL,
  salt BLOB NOT NULL,
  address TEXT,
  agent TEXT
) STRICT;
CREATE TRIGGER audit_origins_are_not_changed BEFORE UPDATE ON audit_origins BEGIN
  SELECT RAISE(ABORT, 'the audit log is not changed');
END;

-- What is under way; what is still here at a start was cut off.
CREATE TABLE audit_open (
  id INTEGER PRIMARY KEY NOT NULL,
  entry TEXT NOT NULL
) STRICT;
