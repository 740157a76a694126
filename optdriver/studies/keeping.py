"""Studies that are kept: making them, opening them, verifying them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from optdriver.errors import InputError, OptDriverError, StorageError, StorageWarning, say
from optdriver.numerics import quiet
from optdriver.space.description import shown
from optdriver.storage import bounds, place
from optdriver.storage.bounds import FORGED
from optdriver.storage.jsonl import read_export
from optdriver.storage.sqlite import SQLiteJournal
from optdriver.study import Spec, Study, fold, limits, recall
from optdriver.study.events import RESULTS, Event, Parted
from optdriver.study.state import FOREIGN, State

Clock = Callable[[], float]


@quiet
def load_study(
    path: Any,
    *,
    read_only: bool = False,
    durability: str = "process",
    clock: Clock = time.monotonic,
) -> Study:
    """Open the study that is kept in a file, and go on as if it had never been interrupted.

    Suggestions that were open still are: tell them under their ids (``study.open_suggestions``),
    or let ``study.run(objective)`` hand them out again.

    Parameters
    ----------
    path : str or path-like
        The file that ``create_study(storage=...)`` made.
    read_only : bool
        Only look; another process may go on writing meanwhile.
    durability : {'process', 'power'}
        What everything that was told survives: the end of the process at any instruction, or the
        loss of power too (every call then waits for the disk).
    clock : callable
        Seconds of a clock that never goes back.

    Raises
    ------
    StorageError
        If there is no study, or it is damaged, of a later version, or not writable.
    StudyInUseError
        If another process writes to it.

    Examples
    --------
    >>> import optdriver, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "parabola.db")
    >>> with optdriver.create_study({'x': (-2, 3)}, jac=True, storage=path) as study:
    ...     study.tell(study.ask().id, 4.0, [4.0])
    >>> with optdriver.load_study(path) as study:
    ...     study.num_evaluations, study.best.value
    (1, 4.0)
    """
    study = _opened(place.check_path(path), durability, clock, read_only=read_only)
    if study.space.plain:
        say(
            f"the parameters of {path} do not all come back as they were given: "
            f"{'; '.join(study.space.plain)} (create_study with the same bounds and storage=, "
            "which opens it too, gives them back)",
            StorageWarning,
        )
    return study


def _opened(
    path: Path,
    durability: str,
    clock: Clock,
    *,
    read_only: bool = False,
    wanted: Spec | None = None,
) -> Study:
    """Open a study; `wanted` is what it has to be, and has the structure that users see."""
    journal = SQLiteJournal.open(path, durability=durability, read_only=read_only)
    try:
        return _restore(journal, clock, wanted)
    except BaseException:
        journal.close()
        raise


def create_kept(
    spec: Spec,
    given: Mapping[str, Any],
    path: Any,
    *,
    durability: str = "process",
    clock: Clock = time.monotonic,
) -> Study:
    """Create a study that is kept at `path`; open it if it is there already.

    Parameters
    ----------
    spec : Spec
        The specification, but for the driver parameters.
    given : dict
        Driver parameters.
    path, durability, clock
        As for `load_study`.

    Raises
    ------
    InputError
        If the study that is there has another specification; the message shows the difference.
    """
    place_ = place.check_path(path)
    if place_.exists():
        study = _opened(place_, durability, clock, wanted=spec)
        try:
            study.set_parameters(**given)
        except BaseException:
            study.close()
            raise
        return study
    spec = spec.with_parameters(given)
    bounds.check_cost(spec.to_dict())
    fold.begin(spec)  # what the driver refuses is refused before there is a file
    journal = SQLiteJournal.create(place_, spec.to_dict(), durability=durability)
    return Study(spec, journal=journal, clock=clock)


def import_study(source: Any, storage: Any) -> Study:
    """Make a study of what `Study.export` wrote, and keep it at `storage`.

    Parameters
    ----------
    source : str or path-like
        The lines.  A last one that is torn is dropped, with a warning.
    storage : str or path-like
        A file that is not there yet.

    Raises
    ------
    StorageError
        If the lines cannot be read or do not lead to the points in them; nothing is written then.
    """
    target = place.check_path(storage)
    try:
        spec, events, part = read_export(Path(source))
        return _create_from_events(target, spec, events, part=part)
    except StorageError:
        raise
    except (OptDriverError, *FORGED) as error:
        raise StorageError(f"{source} is no exported study: {error}") from error


def _create_from_events(path: Path, spec: Spec, events: list[Event], *, part: bool) -> Study:
    """Create a study at `path` to which `events` have happened; `part` is as for `fold.replay`."""
    bounds.check_cost(spec.to_dict())
    state = fold.replay(fold.begin(spec), events, part=part)  # before anything is written
    if state.parted:
        events = [*events, Parted(time=state.elapsed)]
    journal = SQLiteJournal.create(path, spec.to_dict())
    try:
        for event in events:
            journal.append(event)
        return _restore(journal, time.monotonic)
    except BaseException:
        journal.close()
        raise


def _restore(journal: SQLiteJournal, clock: Clock, wanted: Spec | None = None) -> Study:
    """Return the study of a journal, which is `wanted`."""
    with _explaining(journal):
        spec = Spec.from_dict(journal.spec)
        bounds.check_cost(spec.to_dict())
    if wanted is not None:
        check_same(spec, wanted, journal.path)
        spec = replace(spec, space=wanted.space)
    with _explaining(journal):
        state = recall.folded(journal, spec)
    foreign = sum(entry.point == FOREIGN for entry in state.open.values())
    if state.parted:
        say(
            f"this version would have asked other points than {journal.path} has from some point "
            f"on ({journal.changes}): all evaluations are there and count, {foreign} of the open "
            "suggestions are the other version's, and the minimizers go on from where they were",
            RuntimeWarning,
        )
    if state.adopted:
        say(
            f"{state.adopted} points of {journal.path} were asked with slightly other numbers than "
            f"a replay gives here ({journal.changes}); the study goes on from what is recorded",
            RuntimeWarning,
        )
    if journal.loss is not None:
        say(journal.loss.describe(journal.path, journal.last), StorageWarning)
    study = Study(spec, journal=journal, clock=clock, state=state)
    journal.accept()
    if not journal.read_only:
        with _explaining(journal):
            _finish_decision(study, state, journal)
    return study


@contextmanager
def _explaining(journal: SQLiteJournal) -> Iterator[None]:
    """Say which file is meant when what is in it cannot be understood."""
    try:
        yield
    except StorageError:
        raise
    except OptDriverError as error:
        raise StorageError(
            f"{journal.path} cannot be replayed: {error} (it was made with {journal.written_by})"
        ) from error
    except FORGED as error:
        raise StorageError(f"{journal.path} is damaged: {error!r}") from error


def _finish_decision(study: Study, state: State, journal: SQLiteJournal) -> None:
    """Stop if the last result is a reason to, and the process ended before that was recorded."""
    last = next(journal.read(max(journal.last - 1, 0)), None)
    if isinstance(last, RESULTS) and state.stop is None:
        reason = limits.after_result(state)
        if reason is not None:
            study.stop(reason[1], kind=reason[0])


def check_same(there: Spec, wanted: Spec, path: Path) -> None:
    """Refuse another specification of the study at `path`, and show the difference.

    Raises
    ------
    InputError
    """
    changes = list(_changes(there, wanted))
    if changes:
        raise InputError(
            f"the study at {path} is another one, and a study cannot be changed: "
            f"{'; '.join(changes)} (open it with optdriver.load_study, or take another file)"
        )


def _changes(there: Spec, wanted: Spec) -> Iterator[str]:
    old, new = _described(there), _described(wanted)
    for name in old.keys() | new.keys():
        if name not in new:
            yield f"{name} is {old[name]} there, and missing here"
        elif name not in old:
            yield f"{name} is {new[name]} here, and missing there"
        elif old[name] != new[name]:
            yield f"{name} is {old[name]} there, {new[name]} here"
    if list(old) != list(new) and old.keys() == new.keys():
        yield f"the parameters are in the order {', '.join(there.space.names)} there"


def _described(spec: Spec) -> dict[str, str]:
    data = spec.to_dict()
    found = {
        f"parameter {entry['name']!r}": " ".join(map(str, list(entry.values())[1:]))
        for entry in data["space"]["domain"]
    }
    found |= {f"constraint {k + 1}": repr(text) for k, text in enumerate(data["constraints"])}
    if there := data.get("outputs"):
        found |= {f"limit {k + 1}": repr(text) for k, text in enumerate(there["limits"])}
        found["outputs without a limit"] = ", ".join(there["recorded"]) or "none"
    found["scale"], found["the driver"] = str(data["space"]["scale"]), data["driver"]
    if "structure" in data["space"]:
        found |= shown(data["space"]["structure"])
    return found
