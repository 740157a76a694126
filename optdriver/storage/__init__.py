"""Keeping studies: a journal of events in an SQLite file, snapshots, JSON Lines."""

from optdriver.storage.journal import Journal, MemoryJournal
from optdriver.storage.jsonl import export_study
from optdriver.storage.place import named_path
from optdriver.storage.sqlite import SQLiteJournal
from optdriver.storage.verifying import Verified, verify

__all__ = [
    "Journal",
    "MemoryJournal",
    "SQLiteJournal",
    "Verified",
    "export_study",
    "named_path",
    "verify",
]
