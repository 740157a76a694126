"""What the JAX examples find, and the pictures that they draw."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import saiunit as u

from examples import (
    jax_methods,
    jax_network,
    jax_neuron,
    jax_portfolio,
    jax_rugged,
    jax_structured,
)


def is_picture(path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


def test_structured_parameters(tmp_path):
    numbers, arrays, named = jax_structured.main()
    assert [float(x) for x in numbers.x] == pytest.approx([2, -1], abs=1e-6)
    np.testing.assert_allclose(arrays.x["W"], jax_structured.TARGET, atol=1e-6)
    np.testing.assert_allclose(arrays.x["b"], [1, -1], atol=1e-6)
    assert list(named.x) == ["x", "y"]
    assert [float(x) for x in named.x.values()] == pytest.approx([1, 1], abs=1e-4)
    jax_structured.draw(named, tmp_path / "valley.png")
    assert is_picture(tmp_path / "valley.png")


def test_a_neuron_with_units(tmp_path):
    result = jax_neuron.main()
    assert result.success
    for name, size in {"tau": 1 * u.ms, "rest": 0.5 * u.mV, "bias": 1 * u.pA}.items():
        assert result.x[name].unit == size.unit
        assert abs(float((result.x[name] - jax_neuron.TRUE[name]) / size)) < 1
    jax_neuron.draw(result, tmp_path / "neuron.png")
    assert is_picture(tmp_path / "neuron.png")


def test_several_methods_one_watched_and_one_stopped(tmp_path):
    histories = {}
    for method in jax_methods.METHODS:
        result, histories[method] = jax_methods.watched(method)
        assert [float(x) for x in result.x] == pytest.approx([3, 0.5], abs=2e-3)
        assert [nit for nit, _ in histories[method]] == sorted({n for n, _ in histories[method]})
    result = jax_methods.stopped()
    assert 1e-8 < result.fun < 1e-3
    assert result.message == "HALTED: below 1e-3"
    jax_methods.draw(histories, tmp_path / "methods.png")
    assert is_picture(tmp_path / "methods.png")


def test_a_network_of_26_parameters(tmp_path):
    result = jax_network.main()
    assert sum(leaf.size for leaf in jax.tree.leaves(result.x)) == 26
    x, y = jax_network.data(2, 500)
    assert np.mean((jax_network.predict(x, **result.x) - y) ** 2) < 0.05 * np.var(y)
    jax_network.draw(result, tmp_path / "network.png")
    assert is_picture(tmp_path / "network.png")


def test_the_portfolio(tmp_path):
    result = jax_portfolio.best(0.10)
    np.testing.assert_allclose(result.x["w"], jax_portfolio.EXACT, atol=1e-7)
    assert result.fun == pytest.approx(jax_portfolio.VARIANCE, abs=1e-10)
    jax_portfolio.draw(tmp_path / "portfolio.png")
    assert is_picture(tmp_path / "portfolio.png")


def test_rugged_and_badly_scaled_ones(tmp_path):
    many, scaled = jax_rugged.main()
    assert many.fun == pytest.approx(0, abs=1e-8)
    assert scaled.success
    assert scaled.fun == pytest.approx(0, abs=1e-10)
    omega = 2e5 * np.pi  # L = Q R / omega, C = 1 / (omega Q R)
    exact = {"inductance": 50 / omega, "capacity": 1 / (50 * omega), "resistance": 1.0}
    assert {k: float(v) for k, v in scaled.x.items()} == pytest.approx(exact, rel=1e-3)
    jax_rugged.draw(many, tmp_path / "rugged.png")
    assert is_picture(tmp_path / "rugged.png")
