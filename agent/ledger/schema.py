"""The ledger's tables. They never migrate: later kinds of entry are later kinds of body.

`verify` compares these statements with what the file says, so a dropped trigger shows. The `_next`
triggers stop INSERT OR REPLACE, which deletes without firing a delete trigger.
"""

APPLICATION_ID = 0x646D726C  # "dmrl"; `file` and sqlite3 show it
USER_VERSION = 1

_FIXED = "SELECT RAISE(ABORT, 'the ledger only grows')"

TABLES = {
    "log": ("CREATE TABLE log (one INTEGER PRIMARY KEY CHECK (one = 1), origin TEXT NOT NULL, key TEXT NOT NULL)"),
    "leaf": (
        "CREATE TABLE leaf (idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, time INTEGER NOT NULL,"
        " hash BLOB NOT NULL CHECK (length(hash) = 32), body BLOB NOT NULL)"
    ),
    "node": (
        "CREATE TABLE node (level INTEGER NOT NULL, idx INTEGER NOT NULL,"
        " hash BLOB NOT NULL CHECK (length(hash) = 32), PRIMARY KEY (level, idx)) WITHOUT ROWID"
    ),
    "detail": (
        "CREATE TABLE detail (leaf INTEGER NOT NULL, name TEXT NOT NULL,"
        " salt BLOB NOT NULL CHECK (length(salt) = 32), data BLOB NOT NULL, PRIMARY KEY (leaf, name))"
    ),
    "checkpoint": ("CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, text TEXT NOT NULL, signatures TEXT NOT NULL)"),
    "witnessed": (
        "CREATE TABLE witnessed (origin TEXT PRIMARY KEY, size INTEGER NOT NULL,"
        " text TEXT NOT NULL, signatures TEXT NOT NULL, time INTEGER NOT NULL)"
    ),
    "state": (
        "CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), leaf INTEGER NOT NULL, saved BLOB NOT NULL)"
    ),
}

TRIGGERS = {
    "log_fixed": "CREATE TRIGGER log_fixed BEFORE UPDATE ON log BEGIN REFUSE; END",
    "log_kept": "CREATE TRIGGER log_kept BEFORE DELETE ON log BEGIN REFUSE; END",
    "leaf_fixed": "CREATE TRIGGER leaf_fixed BEFORE UPDATE ON leaf BEGIN REFUSE; END",
    "leaf_kept": "CREATE TRIGGER leaf_kept BEFORE DELETE ON leaf BEGIN REFUSE; END",
    "leaf_next": (
        "CREATE TRIGGER leaf_next BEFORE INSERT ON leaf"
        " WHEN EXISTS (SELECT 1 FROM leaf WHERE idx >= NEW.idx) BEGIN REFUSE; END"
    ),
    "node_fixed": "CREATE TRIGGER node_fixed BEFORE UPDATE ON node BEGIN REFUSE; END",
    "node_kept": "CREATE TRIGGER node_kept BEFORE DELETE ON node BEGIN REFUSE; END",
    "node_next": (
        "CREATE TRIGGER node_next BEFORE INSERT ON node"
        " WHEN EXISTS (SELECT 1 FROM node WHERE level = NEW.level AND idx >= NEW.idx) BEGIN REFUSE; END"
    ),
    "checkpoint_fixed": ("CREATE TRIGGER checkpoint_fixed BEFORE UPDATE OF size, text ON checkpoint BEGIN REFUSE; END"),
    "checkpoint_kept": "CREATE TRIGGER checkpoint_kept BEFORE DELETE ON checkpoint BEGIN REFUSE; END",
    "checkpoint_next": (
        "CREATE TRIGGER checkpoint_next BEFORE INSERT ON checkpoint"
        " WHEN EXISTS (SELECT 1 FROM checkpoint WHERE size >= NEW.size) BEGIN REFUSE; END"
    ),
}

STATEMENTS = (*TABLES.values(), *(text.replace("REFUSE", _FIXED) for text in TRIGGERS.values()))
"""Every statement as the file holds it, in order of creation; REFUSE stands for the raise."""
