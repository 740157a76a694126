"""How studies are made: `create_study`, and `client()` of the other dialect."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from optdriver.coroutine import constraints as walls
from optdriver.coroutine.scipy_methods import method_names
from optdriver.drivers import DEFAULT_DRIVER, driver_factory
from optdriver.errors import InputError, InputTypeError
from optdriver.multistart.feasible_starts import check_not_empty
from optdriver.numerics import quiet
from optdriver.reading import check_flag
from optdriver.space.space import Space
from optdriver.storage import named_path
from optdriver.studies.keeping import create_kept, load_study
from optdriver.study.desk import Clock
from optdriver.study.dialect import check_keywords, one_of
from optdriver.study.events import Journal
from optdriver.study.spec import Spec
from optdriver.study.study import Study


@quiet
def create_study(
    space: Any = None,
    *,
    domain: Any = None,
    design_space: Any = None,
    constraints: Any = (),
    outputs: Any = None,
    environment: Any = None,
    driver: str = DEFAULT_DRIVER,
    name: str | None = None,
    study_name: str | None = None,
    study_id: str | None = None,
    scale: bool = True,
    storage: Any = None,
    save_dir: Any = None,
    durability: str = "process",
    journal: Journal | None = None,
    clock: Clock = time.monotonic,
    **parameters: Any,
) -> Study:
    """Create a study, in memory or kept in a file.

    Parameters
    ----------
    space : mapping, list of entries, or Space
        The parameters: ``{'x1': (-1.5, 1.5), 'radius': 2.0}`` (a pair is a range, a number is a
        fixed value), or ``[{'name': 'x1', 'type': 'continuous', 'domain': (-1.5, 1.5)}, ...]``.
        Also there as `domain` and `design_space`.
    constraints : str, or list of str or mappings
        Nonlinear constraints over continuous and fixed parameters, which every asked point
        satisfies: ``'x1^2 + x2^2 <= radius^2'``, or ``{'name': 'circle', 'constraint':
        'sqrt(x1^2 + x2^2) - radius'}`` (a bare expression must not be positive; the key
        `expression` means the same).
    outputs : mapping, or list of str or mappings, optional
        What the objective puts out beside its value, and the limits on it, which only its
        evaluation can tell: ``{'stress': '<= 250', 'mass - 2*margin': '<= 10', 'temperature':
        (20, 80), 'lift': None}``, formulas over outputs and parameters, an output with None being
        only recorded; or texts as for `constraints`, ``['stress <= 250']``.  A point that violates
        a limit is asked, and told; the minima satisfy all of them, and so does `Study.best`.  The
        driver is ``'trust-region-SQP'`` then.
    environment : mapping or list of entries, optional
        More fixed parameters.
    driver : str
        ``'L-BFGS-B'``, or its alias ``'L_BFGS_B_Optimization'``; another method of SciPy's; or
        ``'CMA-ES'`` or a name of Nevergrad's: see `optdriver.drivers.driver_names`.
    name, study_id : str, optional
        Labels; `name` also there as `study_name`.
    scale : bool
        Whether the driver sees every finite range as about one unit wide.
    storage : str or path-like, optional
        The file that keeps the study: everything that was told survives the end of the process.
        If the study is there already, it is opened, as by `optdriver.load_study`; the parameters
        may be left out then, and another domain is refused.
    save_dir : str or path-like, optional
        The same in the other dialect: the file is ``<study_id>.db`` in this directory.
    durability : {'process', 'power'}
        Whether what was told also survives the loss of power; every call then waits for the disk.
    journal : object with ``append``, optional
        Receives every event before it takes effect; a list will do.
    clock : callable
        Seconds of a clock that never goes back, for `max_time` and the times in the history.
    **parameters
        Driver parameters, as for `Study.set_parameters`.

    Raises
    ------
    InputError
        For anything that cannot be used; the message says what was expected.

    Examples
    --------
    >>> study = create_study({'x': (-2, 2)}, jac=True, max_iter=30, seed=1)
    >>> study.run(lambda x: (x**4 - x, [4 * x**3 - 1]))
    >>> round(study.best.params['x'], 4)
    0.63
    """
    check_keywords(parameters)
    given = {"domain": domain, "design_space": design_space, "name": name, "study_name": study_name}
    parts = [part for part in (space, one_of("domain", given)) if part is not None]
    path = _path(storage, save_dir, study_id, journal)
    if not parts and path is not None and Path(path).exists():
        if constraints or environment is not None:
            raise InputError("constraints and environment go with the parameters: give these too")
        return _opened(path, driver, parameters, durability, clock)
    if not parts and study_id is not None:
        raise InputError(
            f"there are no parameters, and no file of a study {study_id!r} to go on with: give the "
            "directory with save_dir=, or the file with storage=, or the parameters"
        )
    if len(parts) != 1:
        raise InputError(
            "create_study needs the parameters once, as in create_study({'x1': (-1.5, 1.5)}) or "
            "create_study(domain=[{'name': 'x1', 'type': 'continuous', 'domain': (-1.5, 1.5)}])"
        )
    _check_parts(scale, journal, clock)
    spec = Spec(
        space=Space(parts[0], environment, scale=scale),
        driver=driver_factory(driver).name,
        name=_label("name", one_of("name", given)),
        study_id=_label("study_id", study_id),
    )
    spec = spec.with_constraints(constraints).with_outputs(outputs)
    _check_bounds(spec)
    if spec.compiled is not None and not _has_starts(spec, parameters):
        check_not_empty(spec.compiled)
    if path is None:
        return Study(spec.with_parameters(parameters), journal=journal, clock=clock)
    return create_kept(spec, parameters, path, durability=durability, clock=clock)


def _has_starts(spec: Spec, parameters: Mapping[str, Any]) -> bool:
    """Return whether the user gives starts: a feasible one shows that the set is not empty."""
    return bool(spec.with_parameters(parameters).parameters["initial_samples"])


def _check_bounds(spec: Spec) -> None:
    """Refuse a driver that would leave the bounds of parameters."""
    box = spec.space if spec.compiled is None else spec.compiled
    bounded = walls.bounded(box.lower, box.upper)
    if bounded.any() and not driver_factory(spec.driver).bounds:
        known = ", ".join((DEFAULT_DRIVER, *method_names(bounds=True)))
        raise InputError(
            f"driver {spec.driver!r} does not keep to bounds, and "
            f"{spec.space.free[int(np.argmax(bounded))]} has some: use one that does ({known}), or "
            "the bounds (-math.inf, math.inf) with initial_samples to start from"
        )


def _opened(
    path: Any, driver: str, parameters: dict[str, Any], durability: str, clock: Clock
) -> Study:
    """Return the study that is kept at `path`, with these driver parameters."""
    study = load_study(path, durability=durability, clock=clock)
    try:
        if driver != DEFAULT_DRIVER and driver_factory(driver).name != study.spec.driver:
            raise InputError(f"the study at {path} has the driver {study.spec.driver!r}")
        study.set_parameters(**parameters)
    except BaseException:
        study.close()
        raise
    return study


def _path(storage: Any, save_dir: Any, study_id: Any, journal: Journal | None) -> Any:
    """Return where the study is kept, None for a study in memory."""
    given = {"storage": storage, "save_dir": save_dir, "journal": journal}
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise InputError(f"give {names[0]}= or {names[1]}=, not both: a study is kept once")
    return storage if save_dir is None else named_path(save_dir, study_id)


def _check_parts(scale: Any, journal: Any, clock: Any) -> None:
    check_flag("scale", scale)
    if journal is not None and not callable(getattr(journal, "append", None)):
        raise InputTypeError(f"journal is an object with a method append, not {journal!r}")
    if not callable(clock):
        raise InputTypeError(f"clock is a function that returns seconds, not {clock!r}")


def _label(what: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputTypeError(f"{what} is a string, not {value!r}")
    return value


class Client:
    """Makes studies, as the client of a simulation driver's server does; there is no server."""

    def create_study(self, space: Any = None, **arguments: Any) -> Study:
        """Create a study: the same as `optdriver.create_study`."""
        return create_study(space, **arguments)

    def __repr__(self) -> str:
        return "Client()"


def client() -> Client:
    """Return a `Client`, whose ``create_study`` makes studies."""
    return Client()
