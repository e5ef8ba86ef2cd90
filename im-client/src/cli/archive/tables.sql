-- Whose archive this is: one row, once there is a message.
CREATE TABLE owner (user INTEGER NOT NULL);

-- Everybody whose name was seen.
CREATE TABLE person (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    folded TEXT NOT NULL
);
CREATE INDEX person_by_name ON person (folded);

-- A conversation's log. One that began anew is another one, with a greater id.
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    conversation TEXT NOT NULL
);
CREATE INDEX log_by_conversation ON log (conversation, id);

-- The id is made of the time, so that the newest are found first; see record.rs.
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    log INTEGER NOT NULL REFERENCES log (id),
    sequence INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES person (id),
    device TEXT,
    name BLOB NOT NULL,
    accepted_at_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (log, sequence)
);

-- The words of every message, as words.rs cuts them, and its sender and log as two words more.
-- Bytes beyond ASCII are taken as they are. Short beginnings have an index of their own, as they
-- stand for many words.
CREATE VIRTUAL TABLE word USING fts5 (
    text, marks,
    content = '', contentless_delete = 1,
    tokenize = 'ascii', prefix = '1 2 3'
);
