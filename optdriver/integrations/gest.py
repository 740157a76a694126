"""The generator standard of the accelerator and ensemble community: gest-api 0.2.

The same object is a generator of libEnsemble, Xopt and optimas.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from optdriver.errors import InputError, missing_extra
from optdriver.reading import real_number
from optdriver.studies import create_study
from optdriver.study import Study

__all__ = ["Generator"]

if TYPE_CHECKING:
    _Base: Any = object
else:
    try:
        from gest_api.generator import Generator as _Base
    except ImportError:  # said when one is made
        _Base = object

Row = Mapping[str, Any]


class Generator(_Base):  # type: ignore[misc]  # gest-api has no types
    """Minimizers from many starts, as a generator by gest-api.

    Parameters
    ----------
    vocs : gest_api.vocs.VOCS
        Continuous variables with finite or infinite domains, one objective (``'MINIMIZE'`` or
        ``'MAXIMIZE'``), constants, observables.  Its constraints are limits on what an evaluation
        puts out: they are satisfied in the end (`outputs` of `optdriver.create_study`).
    gradient : mapping, optional
        The observable that holds the derivative of the objective by each variable, by the
        variable's name.  Without it finite differences are taken.
    constraints : str or list
        Constraints over variables and constants, as for `optdriver.create_study`; every suggested
        point satisfies them.
    storage : str or path-like, optional
        The file that keeps the study; a generator made again with it goes on.
    **parameters
        Driver parameters, as for `optdriver.create_study`.

    Attributes
    ----------
    study : Study
        What it knows: `study.best`, `study.minima`, ...  With ``'MAXIMIZE'`` its values have the
        opposite sign.

    Raises
    ------
    InputError
        (a ValueError) For variables, objectives or constraints that no minimizer can have.
    MissingExtraError
        Without gest-api, the extra ``gest``.
    """

    returns_id = True

    def __init__(
        self,
        vocs: Any,
        *,
        gradient: Mapping[str, str] | None = None,
        constraints: Any = (),
        storage: Any = None,
        **parameters: Any,
    ) -> None:
        if _Base is object:
            raise missing_extra("a generator", "gest_api", "gest")
        super().__init__(vocs)
        if vocs.constraints and gradient is not None:
            raise InputError(
                "gradient has the derivatives of the objective, and those of the constraints on "
                f"outputs ({', '.join(vocs.constraints)}) are wanted too then: leave it out, and "
                "differences are taken"
            )
        self.vocs = vocs
        (self._objective, kind), *_ = vocs.objectives.items()
        self._sign = -1.0 if type(kind).__name__ == "MaximizeObjective" else 1.0
        self._gradient = self._observables(gradient)
        domain: dict[str, Any] = {
            name: tuple(variable.domain) for name, variable in vocs.variables.items()
        }
        domain |= {name: constant.value for name, constant in vocs.constants.items()}
        self.study: Study = create_study(
            domain,
            constraints=constraints,
            outputs={name: _limit(each) for name, each in vocs.constraints.items()} or None,
            storage=storage,
            jac=gradient is not None,
            **parameters,
        )
        self.study.release()

    def _validate_vocs(self, vocs: Any) -> None:
        for name, variable in vocs.variables.items():
            if type(variable).__name__ != "ContinuousVariable":
                raise InputError(
                    f"variable {name!r} is a {type(variable).__name__}; minimizers have continuous "
                    "ones: make the others constants"
                )
        if len(vocs.objectives) != 1:
            raise InputError(f"there must be one objective, not {list(vocs.objectives)}")
        kind = type(next(iter(vocs.objectives.values()))).__name__
        if kind not in ("MinimizeObjective", "MaximizeObjective"):
            raise InputError(f"the objective must be 'MINIMIZE' or 'MAXIMIZE', not {kind}")

    def _observables(self, gradient: Mapping[str, str] | None) -> dict[str, str]:
        given = dict(gradient or {})
        for name, observable in given.items():
            if name not in self.vocs.variables:
                raise InputError(f"gradient is given by {name!r}, which is no variable")
            if observable not in self.vocs.observables:
                raise InputError(f"{observable!r} (the derivative by {name!r}) is no observable")
        for name in self.vocs.variables if given else ():
            if name not in given:
                raise InputError(f"gradient lacks the observable of the derivative by {name!r}")
        return given

    def suggest(self, num_points: int | None = None) -> list[dict[str, Any]]:
        """Return exactly `num_points` points (1 by default), each with its ``_id``.

        New minimizers begin where the present ones wait for results.

        Raises
        ------
        InputError
            (a ValueError) If so many are not left: the study is done, or nearly.
        """
        wanted = 1 if num_points is None else num_points
        found = self.study.ask(wanted, fill=True)
        if len(found) == wanted:
            return [dict(each.params) | {"_id": each.id} for each in found]
        for each in found:
            self.study.release(each.id)
        why = self.study.how_to_go_on() or "max_iter leaves no more"
        raise InputError(f"{wanted} points were wanted, and {len(found)} are left: {why}")

    def ingest(self, results: Sequence[Row]) -> None:
        """Take results: of points with an ``_id`` those suggested before, of others added ones.

        An objective or derivative that is missing or not finite says that an evaluation failed.

        Raises
        ------
        InputError
            (a ValueError) For an ``_id`` that was not handed out; then nothing is taken.
        """
        rows = [dict(row) for row in _rows(results)]
        for row in rows:
            self._check(row)
        for row in rows:
            self._take(row)

    def _check(self, row: Row) -> None:
        id = row.get("_id")
        if id is None:
            return
        try:
            self.study.wants(int(id))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"the _id {id!r} was not suggested by this generator") from None

    def _take(self, row: Row) -> None:
        value = self._number(row.get(self._objective))
        slopes = {name: self._number(row.get(key)) for name, key in self._gradient.items()}
        usable = math.isfinite(value) and all(map(math.isfinite, slopes.values()))
        gradient = slopes if self._gradient else None
        put = {name: _output(name, row.get(name)) for name in self.vocs.constraints} or None
        usable = usable and all(map(math.isfinite, (put or {}).values()))
        id = row.get("_id")
        if id is not None:
            self.study.tell(int(id), value, gradient, outputs=put)
        elif usable:
            point = {name: row[name] for name in self.study.space.free}
            self.study.add_point(point, value, gradient, outputs=put)

    def _number(self, value: Any) -> float:
        return math.nan if value is None else self._sign * real_number("a result", value)

    def finalize(self) -> None:
        """Close the study; a kept one is whole without it, too."""
        self.study.close()

    def __deepcopy__(self, memo: dict[int, Any]) -> Generator:
        """Return a copy whose study is its own, and in memory; Xopt makes one."""
        new = copy.copy(self)
        new.study = Study.from_dict(self.study.to_dict())
        memo[id(self)] = new
        return new


def _limit(constraint: Any) -> Any:
    """Return a constraint of gest-api as the limit on an output."""
    kind = type(constraint).__name__
    if kind == "BoundsConstraint":
        return tuple(constraint.range)
    if kind not in ("LessThanConstraint", "GreaterThanConstraint"):
        raise InputError(f"a constraint is LESS_THAN, GREATER_THAN or BOUNDS, not a {kind}")
    return f"{'<=' if kind == 'LessThanConstraint' else '>='} {float(constraint.value)!r}"


def _output(name: str, value: Any) -> float:
    return math.nan if value is None else real_number(f"the output {name!r}", value)


def _rows(results: Any) -> Iterable[Row]:
    """Return the rows of what hosts hand over: dictionaries, or an array or a table of them."""
    if hasattr(results, "to_dict"):
        found: Iterable[Row] = results.to_dict(orient="records")
        return found
    names = getattr(getattr(results, "dtype", None), "names", None)
    return results if names is None else [dict(zip(names, row, strict=True)) for row in results]
