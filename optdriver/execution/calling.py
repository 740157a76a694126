"""One call of an objective, wherever it runs."""

from __future__ import annotations

import importlib
import inspect
import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from optdriver.errors import EvaluationError, InputError, InputTypeError, ProtocolError
from optdriver.execution.local import LocalExecutor
from optdriver.space.pytree import ONE_ARRAY

if TYPE_CHECKING:
    from optdriver.space.space import Space
    from optdriver.study import Study, Suggestion

Objective = Callable[..., Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a call: what it returned, or why it failed.

    `mistake` is an error in the use of this library, made inside the objective.  `error` is the
    exception of a failure, as long as it stays in this process.
    """

    result: Any = None
    failure: str | None = None
    mistake: InputError | None = None
    error: BaseException | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.result, self.failure, self.mistake)


def _received(result: Any, failure: str | None, mistake: InputError | None) -> Outcome:
    return Outcome(result=result, failure=failure, mistake=mistake)


BUGS: Final = frozenset(
    (
        "NameError", "UnboundLocalError", "AttributeError", "KeyError", "ImportError",
        "ModuleNotFoundError", "UnitMismatchError", "DimensionalityError",
    )
)  # fmt: skip
"""Names of exceptions that an objective raises for a mistake in it, and not for a point."""

ENOUGH: Final = 3
"""So many evaluations that failed for one kind of mistake, and none that succeeded, are no chance.
"""


class Mistakes:
    """What looks like a mistake in the objective: it fails for the same kind everywhere."""

    def __init__(self) -> None:
        self._seen = 0
        self._kinds: set[str] = set()
        self._last: Outcome | None = None

    def found(self, study: Study, outcome: Outcome, enough: int = ENOUGH) -> Exception | None:
        """Return the exception to raise after a failure, None where it may be the point's."""
        self._seen += 1
        self._kinds.add(str(outcome.failure).partition(" (")[0].partition(":")[0])
        self._last = outcome
        return self.at_end(study) if self._seen >= enough else None

    def at_end(self, study: Study) -> Exception | None:
        """Return the exception to raise where no more is evaluated."""
        last = self._last
        if (
            last is None
            or len(self._kinds) > 1
            or not self._kinds <= BUGS
            or study.best is not None
        ):
            return None
        if isinstance(last.error, Exception):
            return last.error
        return InputError(f"the objective has a mistake, it raised everywhere: {last.failure}")


def evaluate(
    objective: Objective, params: Any, id: int | None = None, handed: str = "name"
) -> Outcome:
    """Call the objective; an exception of its own becomes a failure.  Runs in the worker.

    One that has a method `evaluate_suggestion` is told which suggestion it evaluates.  `handed` is
    how the others get the parameters.
    """
    told = getattr(objective, "evaluate_suggestion", None)
    try:
        if told is not None:
            return Outcome(result=told(id, params))
        return Outcome(result=call(objective, params, handed))
    except InputError as mistake:
        return Outcome(mistake=mistake)
    except EvaluationError as error:
        return Outcome(failure=str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is recorded
        return Outcome(failure=describe(error), error=error)


def call(objective: Objective, params: Any, handed: str) -> Any:
    """Call an objective with parameters: by name, by position, or as one argument."""
    if handed == "name":
        return objective(**params)
    return objective(*params) if handed == "position" else objective(params)


def handed_over(space: Space, objective: Objective, suggestion: Suggestion) -> Any:
    """Return what goes to a worker: the parameters; their numbers by name for other programs."""
    if _wants_numbers(space, objective):
        return space.numbers(suggestion.x)
    return suggestion.params


def _wants_numbers(space: Space, objective: Objective) -> bool:
    return space.structure is not None and hasattr(objective, "evaluate_suggestion")


def evaluate_all(
    objective: Objective, space: Space, points: Iterable[Any], executor: Executor | None
) -> Iterator[Outcome]:
    """Yield what becomes of points that are no suggestions, with an executor all at once."""
    given = space.numbers if _wants_numbers(space, objective) else space.params
    calls = [(objective, given(x), None, space.handed) for x in points]
    if executor is None:
        return (evaluate(*call) for call in calls)
    futures = [executor.submit(evaluate, *call) for call in calls]
    return (future.result() for future in futures)


def describe(error: BaseException) -> str:
    """Return the kind of an error, its message, and the line where it was raised."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return text
    return f"{text} ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"


def output_names(study: Study) -> tuple[str, ...]:
    """Return what the objective of a study puts out beside its value."""
    limits = study.spec.limits
    return () if limits is None else limits.names


def chosen(study: Study, objective: Objective | None) -> Objective:
    """Return the objective that was given, or that of the study.

    Raises
    ------
    InputError
        If there is none, or if it cannot be called.
    """
    objective = study.objective if objective is None else objective
    if objective is None:
        raise InputError("no objective: give it to run(objective), or to set_objective before")
    if not callable(objective):
        raise InputTypeError(f"the objective must be callable, not {objective!r}")
    return objective


def all_taken(study: Study) -> ProtocolError:
    """Build the error for a study whose slots are held by others than who runs it."""
    ids = [opened.id for opened in study.open_suggestions]
    return ProtocolError(
        f"all slots are taken by suggestions that this run did not hand out (ids {ids[:9]}, "
        f"num_parallel = {study.parameters['num_parallel']}); report, clear or release them first, "
        "or raise num_parallel"
    )


def prepare(study: Study, objective: Objective | None, executor: Executor | None) -> Objective:
    """Return the objective as it is sent to the workers, checked before anything is run.

    Raises
    ------
    InputError
        If there is none, if it does not take the parameters by name, or if it cannot be sent to
        where `executor` runs it.
    """
    objective = chosen(study, objective)
    bind = getattr(objective, "for_space", None)  # one that depends on the parameters
    if bind is not None:
        objective = bind(study.space)
    wants_study = _check_signature(objective, study.space)
    here = executor is None or isinstance(executor, ThreadPoolExecutor | LocalExecutor)
    if wants_study and not here:
        raise InputError(
            "the objective has an argument 'study', which exists in this process only, but the "
            f"executor {type(executor).__name__} runs it elsewhere; leave that argument out, and "
            "return the value, (value, gradient) or optdriver.Observation()"
        )
    if executor is not None:
        _check_picklable(objective, executor)
    return partial(objective, study=study) if wants_study else objective


def _check_signature(objective: Objective, space: Space) -> bool:
    """Check that the parameters can be given; return whether `study` is wanted too."""
    try:
        signature = inspect.signature(objective)
    except (TypeError, ValueError):  # a builtin that does not tell: the first call will show
        return False
    study = signature.parameters.get("study")
    wanted = study is not None and study.kind in (study.POSITIONAL_OR_KEYWORD, study.KEYWORD_ONLY)
    positional, named, how = _arguments(space)
    if hasattr(objective, "evaluate_suggestion"):
        positional, named = (), dict.fromkeys(space.names)
    try:
        signature.bind(*positional, **named, **({"study": None} if wanted else {}))
    except TypeError as error:
        raise InputError(
            f"the objective does not fit the parameters of the study: {error}; it is called with "
            f"{how}"
        ) from None
    return wanted


def _arguments(space: Space) -> tuple[tuple[Any, ...], dict[str, Any], str]:
    """Return arguments as an objective gets them, and how these are in words."""
    if space.structure is None:
        positional, named = (), dict.fromkeys(space.names)
    else:
        positional, named = space.structure.arguments(space.structure.build(space.lower))
        strange = [name for name in named if not isinstance(name, str)]
        if strange:
            raise InputError(
                f"the objective gets the members of a dictionary by name, and {strange[0]!r} is "
                "none: use strings, or a list or tuple of bounds"
            )
    if named:
        how = f"every parameter by name, fixed ones too: {', '.join(list(named)[:12])}"
        return positional, named, how
    how = f"{len(positional)} arguments by position"
    return positional, named, how + ONE_ARRAY * (len(positional) > 1)


_PICKLERS: Final = {"mpi4py": "pickle", "loky": "cloudpickle", "distributed": "cloudpickle"}
"""How executors send a call to their workers, by the package that they are from."""


def _check_picklable(objective: Objective, executor: Executor) -> None:
    package = type(executor).__module__.partition(".")[0]
    standard = "pickle" if isinstance(executor, ProcessPoolExecutor) else None
    pickler = _PICKLERS.get(package, standard)
    if pickler is None:
        return
    try:
        importlib.import_module(pickler).dumps(objective)
    except (pickle.PicklingError, TypeError, AttributeError, ProtocolError) as error:
        advice = "leave out what it refers to (locks, open files, studies)"
        if pickler == "pickle":
            advice = "define it with 'def' at the top level of a module, or use threads"
        raise InputError(
            f"the objective cannot be sent to other processes: {error}; {advice}"
        ) from error
