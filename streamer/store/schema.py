"""The tables, and how an older store becomes a new one."""

from __future__ import annotations

APPLICATION = 0x77687768  # "whwh" in the file header: tells our files from other SQLite files
VERSION = 3

TABLES = """
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('source', 0), ('track', 0), ('seq', 0);
CREATE TABLE models (id TEXT PRIMARY KEY, dimension INTEGER NOT NULL, metric TEXT NOT NULL,
  template TEXT NOT NULL);
CREATE TABLE sources (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, path TEXT NOT NULL, hash TEXT NOT NULL, config TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('file', 'live', 'enrolled')), info TEXT NOT NULL, period REAL NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('running', 'done', 'partial')), position REAL,
  stats TEXT NOT NULL DEFAULT '{}', manifest TEXT NOT NULL DEFAULT '{}', began TEXT NOT NULL, ended TEXT,
  counters TEXT NOT NULL, snapshot INTEGER);
CREATE INDEX sources_hash ON sources (hash);
CREATE TABLE tracks (
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  start REAL NOT NULL, last REAL NOT NULL, first_frame INTEGER NOT NULL, last_frame INTEGER NOT NULL,
  count INTEGER NOT NULL, shot INTEGER NOT NULL, score REAL NOT NULL, quality REAL NOT NULL, identity INTEGER);
CREATE INDEX tracks_source ON tracks (source, first_frame, id);
CREATE INDEX tracks_identity ON tracks (identity);
CREATE TABLE track_rows (track INTEGER PRIMARY KEY REFERENCES tracks (id) ON DELETE CASCADE, data BLOB NOT NULL);
CREATE TABLE track_vectors (track INTEGER PRIMARY KEY REFERENCES tracks (id) ON DELETE CASCADE,
  model TEXT NOT NULL REFERENCES models (id), data BLOB NOT NULL);
CREATE TABLE samples (
  track INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE, number INTEGER NOT NULL, frame INTEGER NOT NULL,
  time REAL NOT NULL, x1 REAL, y1 REAL, x2 REAL, y2 REAL, score REAL, quality REAL, yaw REAL, pitch REAL, roll REAL,
  PRIMARY KEY (track, number)) WITHOUT ROWID;
CREATE TABLE vectors (track INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  model TEXT NOT NULL REFERENCES models (id), data BLOB NOT NULL, UNIQUE (track, number));
CREATE TABLE pictures (track INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  crop BLOB, thumbnail BLOB, UNIQUE (track, number));
CREATE TABLE staged (track INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE, number INTEGER NOT NULL,
  model TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (track, number)) WITHOUT ROWID;
CREATE TABLE cannot_links (a INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE,
  b INTEGER NOT NULL REFERENCES tracks (id) ON DELETE CASCADE, PRIMARY KEY (a, b), CHECK (a < b)) WITHOUT ROWID;
CREATE INDEX cannot_links_b ON cannot_links (b);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('assigned', 'merged', 'split', 'dissolved')),
  track INTEGER, identity INTEGER, other INTEGER, distance REAL, runner_up INTEGER, runner_up_distance REAL,
  tracks TEXT, reason TEXT NOT NULL);
CREATE INDEX events_track ON events (track);
CREATE TABLE aliases (dropped INTEGER PRIMARY KEY, kept INTEGER NOT NULL);
CREATE TABLE decisions (
  id INTEGER PRIMARY KEY, who TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, args TEXT NOT NULL);
CREATE TABLE successors (track INTEGER PRIMARY KEY, successor INTEGER NOT NULL);
CREATE TABLE told (a INTEGER NOT NULL, b INTEGER NOT NULL, must INTEGER NOT NULL,
  PRIMARY KEY (a, b, must)) WITHOUT ROWID;
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, track INTEGER NOT NULL, model TEXT NOT NULL,
  sha256 TEXT NOT NULL, data BLOB NOT NULL);
CREATE TABLE exports (path TEXT PRIMARY KEY, people TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tombstones (identity INTEGER PRIMARY KEY, at TEXT NOT NULL);
"""

PIECES = """
DROP TABLE snapshots;
DELETE FROM told;
UPDATE sources SET snapshot = NULL;
CREATE TABLE snapshots (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, track INTEGER NOT NULL, model TEXT NOT NULL,
  data BLOB NOT NULL);
CREATE TABLE chunks (hash BLOB PRIMARY KEY, data BLOB NOT NULL);
"""  # the clusterer's state in pieces; the next run rebuilds it from the tracks

SETTINGS = "CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"

# version reached -> statements that lead to it from the one before
MIGRATIONS: dict[int, str] = {1: TABLES, 2: PIECES, 3: SETTINGS}
