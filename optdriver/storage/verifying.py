"""Whether a kept study is what its events make of it, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from optdriver.errors import ProtocolError, StorageError
from optdriver.storage.journal import not_kept
from optdriver.storage.sqlite import SQLiteJournal
from optdriver.study import Spec, drawing, fold, snapshots
from optdriver.study.events import Asked, Event, RoundAsked
from optdriver.study.reports import Verified as Verified
from optdriver.study.state import State


def verify(journal: object, state: State) -> Verified:
    """Check the file, replay all events from the first one on, and compare with `state`.

    Raises
    ------
    StorageError
        At the first thing that is wrong.
    """
    if not isinstance(journal, SQLiteJournal):
        raise not_kept()
    journal.check()
    points = 0

    def counted() -> Iterator[Event]:
        nonlocal points
        for event in journal.read():
            points += len(event.ids) if isinstance(event, RoundAsked) else isinstance(event, Asked)
            yield event

    try:
        replayed = fold.fold(Spec.from_dict(journal.spec), counted())
    except ProtocolError as error:
        raise StorageError(f"{journal.path} does not lead to its own points: {error}") from error
    if replayed.adopted:
        raise StorageError(
            f"{journal.path}: {replayed.adopted} points are not, to the bit, those of a replay "
            f"({journal.changes})"
        )
    while len(replayed.queue) < len(state.queue) and drawing.draw(replayed) is not None:
        continue  # a point was drawn, and its being asked could not be written
    wrong = differing(snapshots.to_dict(replayed), snapshots.to_dict(state))
    if wrong is not None:
        raise StorageError(f"{journal.path} does not lead to the study as it is: {wrong} differs")
    return Verified(events=journal.last, points=points)


def differing(a: Any, b: Any, where: str = "study") -> str | None:
    """Return where two nested records differ in a bit, None if they do not."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        pairs = ((f"{where}.{key}", a[key], b[key]) for key in a)
        return next(filter(None, (differing(x, y, name) for name, x, y in pairs)), None)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        items = enumerate(zip(a, b, strict=True))
        return next(filter(None, (differing(x, y, f"{where}[{k}]") for k, (x, y) in items)), None)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return None if a.shape == b.shape and a.tobytes() == b.tobytes() else where
    if isinstance(a, float) and isinstance(b, float) and np.isnan(a) and np.isnan(b):
        return None
    return None if a == b else where
