"""The tables of a study's file, and the view through which a person sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from optdriver.storage.rows import SHOWN

APPLICATION: Final = 0x6F707464
"""``PRAGMA application_id`` of our files: the letters "optd"."""

FORMAT: Final = 1
"""``PRAGMA user_version``: the version of the tables."""

_TABLES: Final = """
CREATE TABLE study (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    spec TEXT NOT NULL,      -- the specification, as JSON
    crc INTEGER NOT NULL,    -- CRC-32 of it
    written_by TEXT NOT NULL -- versions, as JSON, for messages only
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, -- 1, 2, 3, ...
    time REAL NOT NULL,      -- run time in seconds
    kind TEXT NOT NULL,      -- what happened
    id INTEGER,              -- the suggestion
    point INTEGER,           -- the driver's number of the point
    run INTEGER,             -- the minimizer
    role TEXT,               -- iterate, difference, check or added
    value REAL,              -- for people: the payload counts
    payload BLOB,            -- numbers, 8 little-endian bytes each
    note TEXT,               -- what else there is, as JSON
    crc INTEGER NOT NULL     -- CRC-32 of the specification and all rows up to this one
);
CREATE TABLE snapshot (
    seq INTEGER PRIMARY KEY, -- the events up to this one are in it
    crc INTEGER NOT NULL,    -- that of the event
    sha256 BLOB NOT NULL,    -- of data
    data BLOB NOT NULL       -- a cache: the file is complete without it
);
"""

MARK: Final = """CREATE TABLE IF NOT EXISTS mark (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    study TEXT NOT NULL,     -- random: tells the files of equal studies apart
    seq INTEGER NOT NULL,    -- the last event when this was written
    crc INTEGER NOT NULL,    -- its checksum
    closed INTEGER NOT NULL  -- 0 while a process writes the study
);
"""
"""The table that goes into the file itself whenever the log is merged into it; see `losses`."""

PUT_MARK: Final = "INSERT OR REPLACE INTO mark VALUES (1, ?, ?, ?, 0)"

CLOSE_MARK: Final = """UPDATE mark SET closed = 1, (seq, crc) = (
    SELECT seq, crc FROM event UNION ALL SELECT 0, crc FROM study ORDER BY seq DESC LIMIT 1
) WHERE closed = 0"""

_VIEW: Final = """
CREATE VIEW points AS
WITH first AS (
    SELECT id, min(seq) AS seq, count(*) AS attempts FROM event
    WHERE kind IN ('Asked', 'Added') GROUP BY id
), last AS (
    SELECT id, max(seq) AS seq FROM event
    WHERE kind IN ('Asked', 'Told', 'Failed', 'Released', 'Added') GROUP BY id
)
SELECT
    a.id AS id, a.run AS run, a.role AS kind,{columns}
    CASE e.kind WHEN 'Asked' THEN 'open'
        WHEN 'Released' THEN 'waiting'
        WHEN 'Failed' THEN CASE json_extract(e.note, '$.retry')
            WHEN 1 THEN 'waiting' ELSE 'failed' END
        ELSE 'told' END AS state,
    e.value AS value, attempts, a.time AS asked,
    CASE e.kind WHEN 'Asked' THEN NULL ELSE e.time END AS ended,
    CASE e.kind WHEN 'Failed' THEN json_extract(e.note, '$.reason') END AS reason
FROM first
    JOIN event AS a ON a.seq = first.seq
    JOIN last ON last.id = first.id
    JOIN event AS e ON e.seq = last.seq
ORDER BY a.id;
"""


def script(names: Sequence[str]) -> str:
    """Return the SQL that makes the tables of a study whose continuous parameters are `names`."""
    shown = names if len(names) <= SHOWN else ()
    columns = "".join(
        f"\n    json_extract(a.note, '$[{i}]') AS {_quoted(name)}," for i, name in enumerate(shown)
    )
    return _TABLES + MARK + _VIEW.format(columns=columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
