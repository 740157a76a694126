"""Pictures show what the study says."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.path import Path

import optdriver
from optdriver import plots
from optdriver.errors import InputError, UnknownOptionError

mpl.use("Agg")
ALL = [
    plots.history, plots.runs, plots.minima, plots.parallel, plots.slices, plots.contour,
    plots.basins,
]  # fmt: skip


def bowl(x, y, depth):
    if x > 1.5:
        raise ValueError("no mesh")
    value = (x - 1.0) ** 2 + (y + 0.5) ** 2 + depth
    return value, [2.0 * (x - 1.0), 2.0 * (y + 0.5)]


def played(**arguments):
    study = optdriver.create_study(
        {"x": (-2.0, 2.0), "y": (-2.0, 2.0), "depth": 3.0},
        name="bowl",
        jac=True,
        max_num_minimizers=3,
        max_iter=60,
        **arguments,
    )
    study.run(bowl)
    return study


@pytest.fixture(scope="module")
def study():
    return played(constraints=[{"name": "disc", "constraint": "x^2 + y^2 <= 1"}, "x + y <= 1.5"])


@pytest.fixture(autouse=True)
def _closed():
    yield
    mpl.pyplot.close("all")


def drawn(axes, label):
    return next(line for line in axes.lines if line.get_label() == label).get_xydata()


@pytest.mark.parametrize("picture", [*ALL, plots.gradient, plots.slack])
def test_a_picture_is_drawn_and_can_be_written(picture, study, tmp_path):
    axes = np.asarray(picture(study)).ravel()
    axes[0].figure.savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 2000


def test_the_best_so_far_never_rises_and_ends_at_the_best(study):
    best = drawn(plots.history(study), "best so far")[:, 1]
    assert (np.diff(best) <= 0.0).all()
    assert best[-1] == study.best.value


def test_failures_are_marked_where_they_happened():
    study = played()
    failed = [i for i, s in zip(study.history["id"], study.history["state"], strict=True)
              if s == "failed"]  # fmt: skip
    assert failed
    assert drawn(plots.history(study), "failed")[:, 0].tolist() == failed


def test_minima_are_annotated_with_how_often_they_were_found(study):
    axes = plots.minima(study)
    assert [text.get_text() for text in axes.texts] == [f"{m.times_found}×" for m in study.minima]


def test_paths_have_the_colours_of_the_minima_they_reached():
    def waves(**x):
        t = np.array(list(x.values()))
        return float(np.sum(np.cos(3 * t) + 0.1 * t)), 0.1 - 3 * np.sin(3 * t)

    for names in (("x", "y"), ("x", "y", "z")):
        study = optdriver.create_study(
            dict.fromkeys(names, (-2.0, 2.0)), jac=True, start_rule="auto", max_iter=80
        )
        study.run(waves)
        axes = plots.basins(study)
        stars = [line for line in axes.lines if line.get_marker() == "*"]
        assert len(stars) == len(study.minima) > 1
        paths = [line for line in axes.lines if line.get_linestyle() == "-"]
        for star in stars:
            end = star.get_xydata()[0]
            assert any(
                np.min(np.linalg.norm(path.get_xydata() - end, axis=1)) == 0.0
                and path.get_color() == star.get_color()
                for path in paths
            )
        assert any(line.get_color() == plots.SOFT for line in axes.lines)
    axes = plots.basins(study, "x", "z")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "z")


def test_the_projected_gradient_of_a_free_minimum_falls_to_the_tolerance():
    study = played()
    row = next(row for row in study.runs if row.state == "converged")
    line = plots.gradient(study).lines[row.index].get_ydata()
    assert line[-1] < 1e-4 < line[0]


def test_slack_is_that_of_the_constraints_at_the_best_point(study):
    axes = plots.slack(study)
    names = [label.get_text() for label in axes.get_yticklabels()]
    x, y = study.best.x
    bars = dict(zip(names, [patch.get_width() for patch in axes.patches], strict=True))
    assert bars["disc"] == pytest.approx(0.0, abs=1e-6)
    assert bars["x + y <= 1.5"] > 0.0
    assert 1.5 - x - y > 0.0


def test_the_shade_covers_what_is_forbidden(study):
    axes = plots.contour(study, "y", "x", points=41)
    (shade,) = [c for c in axes.collections if hasattr(c, "levels")]
    rings = [Path(ring) for path in shade.get_paths() for ring in path.to_polygons()]

    def shaded(*point):  # a point in a hole lies in two rings
        return sum(ring.contains_point(point) for ring in rings) % 2 == 1

    assert shaded(-1.5, -1.5)
    assert shaded(0.9, 0.9)
    assert not shaded(0.0, 0.0)
    assert not shaded(-0.6, 0.7)


def test_a_file_is_drawn_while_another_writes_it(tmp_path):
    path = tmp_path / "bowl.db"
    with played(storage=path) as writer:
        axes = plots.history(path)
        assert drawn(axes, "observed").shape[0] == np.isfinite(writer.history["value"]).sum()


def test_a_study_without_a_single_observation_is_drawn_empty():
    study = optdriver.create_study({"x": (0, 1), "y": (0, 1)})
    for picture in ALL:
        picture(study)


def test_parameters_may_bear_the_names_of_columns():
    study = optdriver.create_study({"value": (-1, 1), "run": (-1, 1)}, max_num_minimizers=1)
    study.run(lambda value, run: value**2 + run**2)
    assert drawn(plots.history(study), "best so far")[-1, 1] == study.best.value


def test_axes_of_ones_own_are_drawn_on(study):
    figure, axes = mpl.pyplot.subplots(1, 2)
    assert plots.runs(study, ax=axes[0]) is axes[0]
    assert plots.slices(study, axes=axes).tolist() == axes.tolist()
    assert len(figure.axes) == 2
    with pytest.raises(InputError, match="2 parameters are drawn on as many axes; given: 1"):
        plots.slices(study, axes=axes[:1])


def test_what_cannot_be_drawn_says_why(study):
    plain = optdriver.create_study({"x": (0, 1)}, name="line")
    with pytest.raises(InputError, match="has no constraints"):
        plots.slack(plain)
    with pytest.raises(InputError, match="has no gradients"):
        plots.gradient(plain)
    with pytest.raises(InputError, match="only 'x'"):
        plots.contour(plain)
    with pytest.raises(UnknownOptionError, match="did you mean 'x'"):
        plots.contour(study, "x1")
    with pytest.raises(InputError, match="'x' twice"):
        plots.contour(study, "x", "x")
    empty = optdriver.create_study({"x": (0, 1)}, constraints=["x <= 0.5"])
    with pytest.raises(InputError, match="nothing was observed"):
        plots.slack(empty)


def test_what_is_maximised_is_drawn_with_its_sign():
    study = optdriver.create_study(
        {"x": (-2.0, 2.0), "y": (-2.0, 2.0)}, jac=True, direction="maximize", max_num_minimizers=2
    )
    study.run(lambda x, y: (5.0 - bowl(x, y / 2, 0)[0], [-2.0 * (x - 1.0), -(y / 2 + 0.5)]))
    assert drawn(plots.history(study), "best so far")[-1, 1] == study.best.value
    heights = drawn(plots.history(study), "best so far")[:, 1]
    assert (np.diff(heights) >= 0.0).all()
    assert plots.minima(study).get_xlabel() == "maximum"
    for draw in ALL:
        draw(study)
    study.reevaluate()
    study.tell(study.ask().id, 1.0, [0.5, 0.5])
    assert len(drawn(plots.history(study), "observed")) == 1


def limited():
    """A study whose first points are low, and violate its limit."""
    study = optdriver.create_study(
        {"x": (-2, 2), "y": (-2, 2)},
        outputs={"u": ">= 1", "v": None},
        jac=False,
        max_num_minimizers=2,
        initial_samples=[[0.1, 0.0]],
    )
    study.run(lambda x, y: {"value": x**2 + y**2, "u": x, "v": y})
    return study


def test_the_best_so_far_is_that_of_the_points_that_satisfy_all_limits():
    study = limited()
    lines = {line.get_label(): line.get_ydata() for line in plots.history(study).get_lines()}
    best = np.asarray(lines["best so far"])
    assert study.history["value"].min() < 0.5
    assert np.isnan(best[0])
    assert best[-1] == pytest.approx(1.0, abs=1e-7)
    for picture in (plots.runs, plots.minima, plots.parallel, plots.slices):
        picture(study)
