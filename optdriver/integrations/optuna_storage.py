"""Studies in Optuna's storage: its dashboard, plots and importances then show them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import numpy as np

from optdriver.errors import InputError, missing_extra
from optdriver.study import Study

__all__ = ["to_optuna"]

ID: Final = "optdriver_id"
"""The attribute of a trial that holds the id of its suggestion."""

CONSTRAINTS: Final = "constraints"
"""Where Optuna looks whether a trial is feasible: what is above 0 is violated."""

_BATCH: Final = 500


def to_optuna(study: Study, storage: Any = None, study_name: str | None = None) -> Any:
    """Write the evaluations of a study as trials of an Optuna study; return that.

    Called again, it adds what has come since: call it in a loop while the study runs, and
    Optuna's dashboard follows.

    Parameters
    ----------
    study : Study
        Also one that was opened with ``read_only=True``.
    storage : str or optuna.storages.BaseStorage, optional
        As for `optuna.create_study`: ``'sqlite:///optuna.db'``; in memory by default.
    study_name : str, optional
        By default the name of the study.

    Returns
    -------
    optuna.study.Study
        Failed evaluations are failed trials, with their reason; fixed parameters, the minimizer and
        the kind of point are attributes of trials.  A parameter without a finite bound has the
        range in which it was evaluated.
        Evaluations of former objectives are left out.

    Raises
    ------
    InputError
        If the Optuna study of that name has trials that are not this study's.
    MissingExtraError
        Without Optuna.
    """
    try:
        import optuna
    except ImportError as error:
        raise missing_extra("to_optuna", error.name or "optuna", "optuna") from None
    name = study_name or study.name or study.spec.study_id or None
    target = optuna.create_study(
        storage=storage,
        study_name=name,
        direction=study.parameters["direction"],
        load_if_exists=True,
    )
    there = target.get_trials(deepcopy=False)
    known = {trial.user_attrs.get(ID) for trial in there}
    if None in known:
        raise InputError(
            f"the Optuna study {target.study_name!r} has trials of its own; give another study_name"
        )
    batch: list[Any] = []
    for trial in _trials(study, optuna, known):
        batch.append(trial)
        if len(batch) == _BATCH:
            target.add_trials(batch)
            batch = []
    target.add_trials(batch)
    return target


def _trials(study: Study, optuna: Any, known: set[Any]) -> Iterator[Any]:
    space, history = study.space, study.history
    columns = list(history.values())[len(space.free) :]
    ids, runs, kinds, states, values, _, asked, ended, reasons, objectives, *outputs = columns
    limits = study.spec.limits
    names = () if limits is None else limits.names
    distributions = _distributions(study, optuna)
    zero = datetime.now() - timedelta(seconds=study.info()["elapsed"])
    states_of = {"told": optuna.trial.TrialState.COMPLETE}
    for k, id in enumerate(ids.tolist()):
        if id in known or objectives[k] != study.objective_number:
            continue
        if states[k] in ("open", "waiting"):  # what comes of the next try is not known
            continue
        attributes = {
            ID: id,
            "minimizer": int(runs[k]),
            "kind": str(kinds[k]),
            **_simple(space.fixed),
        }
        if reasons[k]:
            attributes["reason"] = str(reasons[k])
        attributes |= {name: float(column[k]) for name, column in zip(names, outputs, strict=False)}
        state = states_of.get(str(states[k]), optuna.trial.TrialState.FAIL)
        trial = optuna.trial.create_trial(
            state=state,
            value=float(values[k]) if str(states[k]) == "told" else None,
            params=dict(zip(space.free, history.x[k].tolist(), strict=True)),
            distributions=distributions,
            user_attrs=attributes,
            system_attrs={CONSTRAINTS: [0.0 if history.counted[k] else 1.0]} if names else None,
        )
        trial.datetime_start = zero + _span(asked[k])
        trial.datetime_complete = zero + _span(ended[k])
        yield trial


def _span(seconds: float) -> timedelta:
    return timedelta(seconds=float(seconds) if math.isfinite(seconds) else 0.0)


def _simple(fixed: Any) -> dict[str, Any]:
    """Return fixed values in a form that a database takes."""
    return {
        name: value if isinstance(value, str | bool | int | float) else repr(value)
        for name, value in fixed.items()
    }


def _distributions(study: Study, optuna: Any) -> dict[str, Any]:
    space, x = study.space, study.history.x
    scales = {each["name"]: each.get("scale") for each in space.to_dict()["domain"]}
    found = {}
    for i, name in enumerate(space.free):
        low, high = float(space.lower[i]), float(space.upper[i])
        seen = x[:, i] if len(x) else np.zeros(1)
        low = low if math.isfinite(low) else min(float(seen.min()), high)
        high = high if math.isfinite(high) else max(float(seen.max()), low)
        log = scales[name] == "log" and low > 0.0
        found[name] = optuna.distributions.FloatDistribution(low, high, log=log)
    return found
