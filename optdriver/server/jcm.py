"""The requests of JCMoptimizer's Python client (the package ``jcmoptimizer``, 3.1).

Its drivers that use gradients or a population are served; Bayesian ones are refused by name.  A
request is a form whose values are JSON, of a study that is called ``PROJECT.ID``; an id counts
from 1.  A study that is asked when it is done hands out its best point once more, and forgets the
result: that client waits for suggestions until it gets one.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from optdriver.errors import InputError, OptDriverError, ProtocolError, UnknownStudyError
from optdriver.server import page
from optdriver.server.http import answered
from optdriver.server.rooms import Hall, Room
from optdriver.study import Observation, Study

VERSION: Final = "3.1.0"
"""Of the client that this has been tried with; it warns of a server of another version."""

DRIVERS: Final = MappingProxyType(
    {
        "ScipyMinimizer": "L-BFGS-B",
        "L-BFGS-B": "L-BFGS-B",
        "L_BFGS_B_Optimization": "L-BFGS-B",
        "CMAES": "CMA-ES",
        "DifferentialEvolution": "DE",
    }
)
"""Drivers as that client calls them, and ours."""

_CLASSES: Final = MappingProxyType({"CMA-ES": "CMAES", "DE": "DifferentialEvolution"})

NOT_NOW: Final = 202
"""The status that lets the client ask again in 0.2 s."""

DONE: Final = -1
"""The id of a suggestion whose result is not wanted."""

Given = Mapping[str, Any]
Act = Callable[[Study, Given], Any]


def routes() -> list[BaseRoute]:
    """Return the routes, to stand before all others."""
    found: list[BaseRoute] = [
        Route("/", _greeting),
        Route("/study/create", _create, methods=["POST"]),
        Route("/server/{act}", _refuse, methods=["POST"]),
        Route("/benchmark/{act}", _refuse, methods=["POST"]),
        Route("/suggestion/create/{id}", _suggest, methods=["POST"]),
    ]
    for path, act in ACTS.items():
        found.append(Route(f"/{path}/{{id}}", _acting(act), methods=["GET", "POST"]))
    return found


# -- what arrives -------------------------------------------------------------------------


async def _given(request: Request) -> dict[str, Any]:
    """Return the fields of a form; each is JSON."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {key: json.loads(text) for key, text in parse_qsl(body, max_num_fields=1000)}
    except (ValueError, RecursionError) as error:
        raise InputError(f"the fields of the form are JSON: {str(error)[:200]}") from None


def _room(request: Request) -> Room:
    hall: Hall = request.app.state.hall
    room = hall.room(request.path_params["id"].rpartition(".")[2])
    if room.wire.study.space.structure is not None:
        raise InputError(
            f"the parameters of {room.name} have a structure, which this client does not know: "
            "use optdriver.client(url)"
        )
    return room


def _spoken(end: Callable[[Request], Awaitable[Response]]) -> Callable[..., Any]:
    """Return an endpoint whose errors are told as that client reads them: as `detail`."""

    async def spoken(request: Request) -> Response:
        try:
            return await end(request)
        except OptDriverError as error:
            status = 404 if isinstance(error, UnknownStudyError) else 400
            return answered({"detail": str(error)}, status)

    return spoken


# -- server and studies -------------------------------------------------------------------


async def _greeting(request: Request) -> Response:
    """Greet that client; a browser, which brings no token here, gets the page."""
    if request.headers.get("authorization", "").startswith("Token "):
        return answered({"version": VERSION, "message": "optdriver is running"})
    return await page.answer(request)


@_spoken
async def _refuse(request: Request) -> Response:
    what = request.url.path.strip("/").replace("/", " ")[:60]
    raise InputError(f"{what}: this server of optdriver does not do that")


@_spoken
async def _create(request: Request) -> Response:
    given, hall = await _given(request), request.app.state.hall
    id = given.get("study_id") or uuid.uuid4().hex
    if not isinstance(id, str):
        raise InputError(f"study_id is a text, not {str(id)[:60]!r}")
    if given.get("save_dir") is not None:
        raise InputError("save_dir: the server keeps its studies in its own directory")
    if id in hall.rooms and given.get("clear_storage"):
        raise InputError("clear_storage: nothing is removed; take another study_id")
    if id not in hall.rooms or given.get("design_space") is not None:
        arguments = {
            key: given[key]
            for key in ("design_space", "environment", "constraints", "study_name")
            if given.get(key) is not None
        }
        driver = _driver(given.get("driver"))
        await asyncio.to_thread(hall.create, arguments | {"study_id": id, "driver": driver})
    room = hall.room(id)
    shown = f"#{id}" if given.get("dashboard") else ""
    project = given.get("project_id") or "project"
    return answered(
        {
            "study_id": id,
            "project_id": project,
            "driver": _CLASSES.get(room.wire.study.spec.driver, "ScipyMinimizer"),
            "dashboard_path": shown,
        }
    )


def _driver(name: Any) -> str:
    if isinstance(name, str) and name in DRIVERS:
        return DRIVERS[name]
    known = ", ".join(DRIVERS)
    what = f"there is no driver {str(name)[:60]!r}"
    what = "the default driver is Bayesian" if name is None else what
    raise InputError(f"{what}; this server has {known}: give driver='ScipyMinimizer', say")


def _acting(act: Act) -> Callable[..., Any]:
    """Return the endpoint that does something with a study, in its thread."""

    @_spoken
    async def acted(request: Request) -> Response:
        given, room = await _given(request), _room(request)
        return answered(await room.do(act, given))

    return acted


# -- suggestions --------------------------------------------------------------------------


@_spoken
async def _suggest(request: Request) -> Response:
    """Hand out a suggestion; the best point once more where the study is done."""
    given, room = await _given(request), _room(request)
    if given.get("environment_value"):
        raise InputError("environment_value: parameters of the environment are fixed ones here")
    found = await room.answer("ask", {"worker": "jcmoptimizer"})
    if found["suggestions"]:
        each = found["suggestions"][0]
        return answered({"sample": each["params"], "suggestion_id": each["id"] + 1})
    best = (await room.answer("best", {}))["best"]
    if not found["done"]:
        return answered({"detail": found["reason"]}, NOT_NOW)
    if best is None:
        raise ProtocolError(f"the study is done: {found['reason']}")
    return answered({"sample": best["params"], "suggestion_id": DONE})


def _remove(study: Study, given: Given) -> dict[str, Any]:
    if given.get("suggestion_id") != DONE:
        study.clear_suggestion(_id(given), str(given.get("message", "")))
    return {}


def _id(given: Given) -> int:
    id = given.get("suggestion_id")
    if isinstance(id, bool) or not isinstance(id, int):
        raise InputError(f"suggestion_id is a whole number, not {str(id)[:60]!r}")
    return id - 1


# -- observations -------------------------------------------------------------------------


def _observe(study: Study, given: Given) -> dict[str, Any]:
    id = given.get("suggestion_id")
    observation = _observation(given.get("observation_data"))
    if id is None:
        study.add_point(given.get("design_value"), observation)
    elif id != DONE:
        study.tell(_id(given), observation)
    return {}


def _observe_many(study: Study, given: Given) -> dict[str, Any]:
    observations, points = given.get("observations"), given.get("design_values")
    if not isinstance(observations, list) or not isinstance(points, list):
        raise InputError("observations and design_values are lists")
    study.add_many(map(_observation, observations), points)
    return {}


def _observation(data: Any) -> Observation:
    """Return what one observation says: a value, and derivatives."""
    if not isinstance(data, dict) or list(data) not in ([], ["null"]):
        raise InputError("an observation has no model_name here: these drivers have no models")
    found = Observation()
    for entry in _of_kind(list, data.get("null", []), "the entries of an observation"):
        if _of_kind(dict, entry, "an entry of an observation").get("env"):
            raise InputError("environment_value: parameters of the environment are fixed ones here")
        if entry.get("val") is not None:
            found.add(**_value(entry["val"]))
        for name, slope in _of_kind(dict, entry.get("der") or {}, "derivatives").items():
            found.add(**_value(slope), derivative=name)
    return found


def _value(entry: Any) -> dict[str, Any]:
    """Return a value and its uncertainty."""
    given = _of_kind(dict, entry, "a value")
    return {"value": given.get("o"), "uncertainty": given.get("u")}


def _of_kind(kind: type, found: Any, what: str) -> Any:
    if not isinstance(found, kind):
        wanted = "an object" if kind is dict else "a list"
        raise InputError(f"{what}: {wanted} of JSON, not {str(found)[:60]!r}")
    return found


def _observed(study: Study, _given: Given) -> dict[str, Any]:
    """Return a row for each value and each derivative."""
    data = study.get_observation_data()
    rows: list[tuple[Any, Any, Any, Any]] = []
    spreads = data.get("uncertainty", [None] * len(data["value"]))
    for sample, value, slopes, spread in zip(
        data["sample"], data["value"], data["derivatives"], spreads, strict=True
    ):
        design = [sample[name] for name in study.space.free]
        rows += [(value, None, design, spread)]
        rows += [(slope, name, design, None) for name, slope in (slopes or {}).items()]
    nothing = [None] * len(rows)
    columns = {"model_name": nothing, "environment_value": nothing}
    names = ("value", "derivative", "design_value", "uncertainty")
    named = zip(names, zip(*rows, strict=True), strict=False)
    table = {name: list(column) for name, column in named} if rows else {}
    empty: dict[str, Any] = {name: [] for name in names}
    return {"observation_data": empty | table | columns}


# -- steering and looking -----------------------------------------------------------------


def _configure(study: Study, given: Given) -> dict[str, Any]:
    study.set_parameters(**{key: value for key, value in given.items() if value is not None})
    return {}


def _start(study: Study, _given: Given) -> dict[str, Any]:
    study.resume()
    study.start_clock()
    return {}


def _stop(study: Study, _given: Given) -> dict[str, Any]:
    study.stop("stopped by the client")
    return {}


def _states(study: Study) -> dict[str, Any]:
    info = study.info()
    return {
        "driver": {
            "min_objective": info["min_objective"],
            "best_sample": info["min_params"],
            "num_open_suggestions": info["num_open"],
            "num_evaluations": info["num_evaluations"],
            "num_failed": info["num_failed"],
            "stop_reason": info["stop_reason"],
            "success": info["success"],
        },
        "observation": {"value": study.history[_value_column(study)][-1:].tolist()},
        "suggestion": {},
    }


def _value_column(study: Study) -> str:
    return list(study.history)[len(study.space.free) + 4]


def _state(study: Study, given: Given) -> dict[str, Any]:
    return {"state": _at(_states(study), given.get("path"))}


def _driver_state(study: Study, given: Given) -> dict[str, Any]:
    return {"state": _at(_states(study)["driver"], given.get("path"))}


def _at(state: Any, path: Any) -> Any:
    for part in str(path).split(".") if path else ():
        if not isinstance(state, dict) or part not in state:
            raise InputError(
                f"there is no {str(path)[:60]!r} in the state; there are {list(state)}"
            )
        state = state[part]
    return state


def _historic(study: Study, given: Given) -> dict[str, Any]:
    """Return the values, or the best so far, of all evaluations that gave one."""
    return {"values": study.historic_parameter_values(str(given.get("path")))}


ACTS: Final[Mapping[str, Act]] = MappingProxyType(
    {
        "study/configure": _configure,
        "study/start_clock": _start,
        "study/stop": _stop,
        "study/delete": lambda _study, _given: {},  # the client lets go of it; it stays
        "study/is_done": lambda study, _given: {"is_done": study.is_done()},
        "study/get_state": _state,
        "study/describe": lambda study, _given: {"description": study.describe()},
        "study/historic_parameter_values": _historic,
        "study/get_observation_data": _observed,
        "suggestion/remove": _remove,
        "observation/create": _observe,
        "observation/create_many": _observe_many,
        "driver/configuration": lambda study, _given: {"configuration": study.parameters},
        "driver/describe": lambda study, _given: {"description": study.describe()},
        "driver/get_state": _driver_state,
        "driver/historic_parameter_values": _historic,
    }
)
"""What is done with a study, by the path of the request."""
