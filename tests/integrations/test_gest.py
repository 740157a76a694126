"""A generator by gest-api: exact numbers of points, failures as hosts tell them, its hosts."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import optdriver
from optdriver.errors import InputError
from optdriver.integrations.gest import Generator

vocs_module = pytest.importorskip("gest_api.vocs", reason="gest-api is not installed (extra gest)")


def vocs(**more):
    given = {
        "variables": {"x": [-2.0, 2.0], "y": [-1.0, 3.0]},
        "objectives": {"f": "MINIMIZE"},
        "constants": {"n": 3.0},
        "observables": {"fx", "fy"},
    }
    return vocs_module.VOCS(**given | more)


GRADIENT = {"x": "fx", "y": "fy"}


def evaluated(point, sign=1.0):
    x, y = point["x"], point["y"]
    a, b = y - x * x, 1.0 - x
    f, fx, fy = 10 * a * a + b * b, -40 * a * x - 2 * b, 20 * a
    return point | {"f": sign * f, "fx": sign * fx, "fy": sign * fy}


@pytest.mark.parametrize(("kind", "sign"), [("MINIMIZE", 1.0), ("MAXIMIZE", -1.0)])
@pytest.mark.parametrize("gradient", [GRADIENT, None])
def test_rounds_of_any_size_lead_to_the_minimum(kind, sign, gradient):
    generator = Generator(vocs(objectives={"f": kind}), gradient=gradient, seed=2)
    for n in (1, 7, 3, 12) * (6 if gradient else 30):
        points = generator.suggest(n)
        assert len(points) == len({point["_id"] for point in points}) == n
        assert all(point["n"] == 3.0 for point in points)
        generator.ingest([evaluated(point, sign) for point in points])
    assert generator.study.best.value == pytest.approx(0.0, abs=1e-4)


def test_a_failure_is_a_missing_key_nan_or_infinity():
    generator = Generator(vocs(), gradient=GRADIENT)
    rows = [evaluated(point) for point in generator.suggest(4)]
    del rows[0]["f"]
    rows[1]["f"] = np.nan
    rows[2]["fx"] = math.inf
    generator.ingest(rows)
    assert generator.study.info()["num_failed"] == 3
    assert generator.study.num_evaluations == 4


def test_points_from_elsewhere_and_ids_that_nobody_knows():
    generator = Generator(vocs(), gradient=GRADIENT)
    generator.ingest([evaluated({"x": 1.0, "y": 1.0, "n": 3.0})])
    generator.ingest([{"x": 1.0, "y": 1.0, "n": 3.0, "f": math.nan}])
    assert generator.study.best.value == 0.0
    (point,) = generator.suggest(1)
    for id in (99, -1, "a"):
        with pytest.raises(ValueError, match="not suggested"):
            generator.ingest([evaluated(point), evaluated(point | {"_id": id})])
    assert generator.study.num_evaluations == 0
    generator.ingest([evaluated(point)])


def test_constraints_on_inputs_hold_at_every_point():
    generator = Generator(vocs(), constraints=["x^2 + y^2 <= n/3"], gradient=GRADIENT)
    for _ in range(12):
        points = generator.suggest(3)
        assert all(point["x"] ** 2 + point["y"] ** 2 <= 1.0 for point in points)
        generator.ingest([evaluated(point) for point in points])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"objectives": {"f": "EXPLORE"}}, "MINIMIZE"),
        ({"objectives": {"f": "MINIMIZE", "g": "MINIMIZE"}}, "one objective"),
        ({"variables": {"x": {1.0, 2.0}}}, "DiscreteVariable"),
    ],
)
def test_what_no_minimizer_can_have_is_refused(more, said):
    with pytest.raises(ValueError, match=said):
        Generator(vocs(**more))


@pytest.mark.parametrize("kind", ["MINIMIZE", "MAXIMIZE"])
def test_constraints_on_outputs_are_satisfied_in_the_end(kind):
    limits = {"c": ["GREATER_THAN", 1.0], "d": ["BOUNDS", -1.0, 5.0], "h": ["LESS_THAN", 3.0]}
    generator = Generator(vocs(constraints=limits, objectives={"f": kind}), max_num_minimizers=2)
    sign = 1.0 if kind == "MINIMIZE" else -1.0
    while not generator.study.is_done():
        points = generator.suggest(1)
        for k, point in enumerate(points):
            x, y = point["x"], point["y"]
            point |= {"f": sign * (x**2 + y**2), "c": x + y, "d": x, "h": y}
            if point["_id"] == 5 + k:
                del point["c"]  # that evaluation failed
        generator.ingest(points)
    assert generator.study.best.value == pytest.approx(0.5, rel=1e-6)
    assert generator.study.info()["num_failed"] == 1
    with pytest.raises(InputError, match="leave it out, and differences"):
        Generator(vocs(constraints=limits), gradient=GRADIENT)


def test_gradients_are_observables_of_all_variables():
    for gradient, said in [({"x": "fx"}, "by 'y'"), ({"z": "fx"}, "no variable"),
                           ({"x": "gx", "y": "fy"}, "no observable")]:  # fmt: skip
        with pytest.raises(InputError, match=said):
            Generator(vocs(), gradient=gradient)


def test_exactly_as_many_or_an_error_that_loses_none():
    generator = Generator(vocs(), gradient=GRADIENT, max_iter=4)
    first = generator.suggest(3)
    with pytest.raises(ValueError, match="2 points were wanted, and 1 are left"):
        generator.suggest(2)
    generator.ingest([evaluated(point) for point in [*first, *generator.suggest(1)]])
    assert generator.study.num_evaluations == 4


def test_a_copy_goes_its_own_way_and_a_kept_one_goes_on(tmp_path):
    path = tmp_path / "kept.db"
    generator = Generator(vocs(), gradient=GRADIENT, storage=path)
    (point,) = generator.suggest()
    twin = copy.deepcopy(generator)
    generator.ingest([evaluated(point)])
    assert twin.study.num_evaluations == 0
    twin.ingest([evaluated(point)])
    assert twin.suggest(2) == generator.suggest(2)
    generator.finalize()
    again = Generator(vocs(), gradient=GRADIENT, storage=path)
    assert again.study.num_evaluations == 1
    assert [point["_id"] for point in again.suggest(2)] == [1, 2]
    again.finalize()
    with optdriver.load_study(path, read_only=True) as study:
        assert len(study.open_suggestions) == 2


@pytest.mark.slow
def test_libensemble_runs_it(tmp_path, monkeypatch):
    pytest.importorskip("libensemble", reason="libEnsemble is not installed")
    from libensemble import Ensemble
    from libensemble.alloc_funcs.start_only_persistent import only_persistent_gens
    from libensemble.specs import AllocSpecs, ExitCriteria, GenSpecs, LibeSpecs, SimSpecs

    monkeypatch.chdir(tmp_path)
    generator = Generator(vocs(), gradient=GRADIENT, seed=2)
    ensemble = Ensemble(
        libE_specs=LibeSpecs(comms="threads", nworkers=4, gen_on_manager=True,
                             disable_log_files=True, save_every_k_gens=10**6),
        gen_specs=GenSpecs(generator=generator, vocs=vocs(), batch_size=4, initial_batch_size=4),
        alloc_specs=AllocSpecs(alloc_f=only_persistent_gens),
        sim_specs=SimSpecs(simulator=evaluated, vocs=vocs()),
        exit_criteria=ExitCriteria(sim_max=80),
    )  # fmt: skip
    history, _, flag = ensemble.run()
    assert flag == 0
    assert generator.study.num_evaluations >= 76
    assert generator.study.best.value == pytest.approx(np.min(history["f"][:76]), abs=1e-2)
