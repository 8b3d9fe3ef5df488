-- A session may have a proxy; its address holds a password and is sealed apart from the other settings.
ALTER TABLE sessions ADD COLUMN proxy BLOB;
