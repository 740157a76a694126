"""A loss written with JAX as the objective of a study: its value and its gradient.

It gets the numbers of the parameters as one vector, builds the structure from them while it is
traced, and is compiled once in each process, wherever the study is run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import numpy as np

from optdriver.errors import InputError, InputTypeError
from optdriver.objectives.jax_objective import JaxObjective, checked_x64, traced
from optdriver.objectives.plain import check_call
from optdriver.objectives.stacked import Stacked
from optdriver.space.pytree import Structure
from optdriver.space.space import Space

_COMPILED: dict[str, JaxObjective] = {}
"""What this process has compiled, by the objective that it belongs to."""


class JaxStudyObjective:
    """A loss that JAX differentiates, for ``study.run``.  Made by `jax_objective`.

    Parameters
    ----------
    loss : callable
    units, x64, residuals, outputs
        As for `jax_objective`.
    space : Space, optional
        The parameters, known when a study runs it.
    key : str
        Names what is compiled.
    made : JaxObjective, optional
        The loss over these parameters, where it was traced already.
    called : callable, optional
        What is compiled, if it is there already.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        *,
        units: bool,
        x64: bool | None,
        residuals: bool = False,
        outputs: bool = False,
        space: Space | None = None,
        key: str = "",
        made: JaxObjective | None = None,
        called: Any = None,
    ) -> None:
        self._loss, self._units, self._x64, self._made = loss, units, x64, made
        self._space, self._key, self._residuals, self._outputs = space, key, residuals, outputs
        self._called: Any = called or (Stacked(loss) if outputs else loss)

    def for_space(self, space: Space) -> JaxStudyObjective:
        """Return the objective over these parameters.

        Raises
        ------
        InputError
            The loss takes other parameters, or JAX cannot differentiate it.
        """
        made, reason = (self._made, "") if self._made is not None else self._traced(space)
        if made is None:
            raise InputError(
                f"JAX cannot differentiate the loss ({reason}): give it to run as it is, and the "
                "study, with jac=False, takes differences"
            )
        key = uuid4().hex
        _COMPILED[key] = made
        return JaxStudyObjective(
            self._loss,
            units=self._units,
            x64=self._x64,
            residuals=self._residuals,
            outputs=self._outputs,
            space=space,
            key=key,
            called=self._called,
        )

    def _traced(self, space: Space) -> tuple[JaxObjective | None, str]:
        structure = structure_over(space)
        check_call(self._loss, structure)
        return traced(
            self._called,
            structure,
            units=self._units,
            x64=self._x64,
            residuals=self._residuals or self._outputs,
            reverse=self._outputs,
        )

    def evaluate_suggestion(self, _id: int | None, numbers: dict[str, float]) -> Any:
        """Return value and gradient at a point that is given by the names of its numbers."""
        if self._space is None:
            raise InputError("a JAX objective is evaluated by study.run")
        objective = _COMPILED.get(self._key)
        if objective is None:  # in another process
            structure = structure_over(self._space)
            objective = JaxObjective(
                self._called,
                structure,
                self._units,
                self._x64,
                residuals=self._residuals or self._outputs,
                reverse=self._outputs,
            )
            _COMPILED[self._key] = objective
        x = np.array([numbers[name] for name in self._space.free])
        if self._residuals:
            return objective.fit(x)
        if self._outputs:
            values, jacobian = objective.fit(x)
            pairs = zip(self._called.names, values[1:], jacobian[1:], strict=True)
            put = {name: (value, slopes) for name, value, slopes in pairs}
            return {"value": values[0], "gradient": jacobian[0], "outputs": put}
        value, gradient = objective.value_and_grad(x)
        unit = objective.unit
        return value if unit is None else unit.attach(value), gradient

    def hessian(self, space: Space, x: Any) -> Any:
        """Return the second derivatives by the continuous parameters of a space, (n, n), at `x`.

        JAX makes them, of the structure and with the units of the parameters: the matrix is in
        their units, and in that of the values.

        Raises
        ------
        InputError
            The loss returns residuals or outputs, or JAX cannot differentiate it.
        """
        if self._residuals or self._outputs:
            raise InputError("second derivatives are those of a loss that returns one value")
        made = self._made
        if made is None:
            made, reason = self._traced(space)
            if made is None:
                raise InputError(f"JAX cannot differentiate the loss ({reason})")
        return made.hessian(np.asarray(x, dtype=np.float64))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Return the loss itself."""
        return self._loss(*arguments, **named)


def structure_over(space: Space) -> Structure:
    """Return the structure of a space, also of one that is names with a number each."""
    if space.structure is not None:
        return space.structure
    return Structure({e.name: e.value if e.fixed else (e.lower, e.upper) for e in space.entries})


def jax_objective(
    loss: Callable[..., Any],
    *,
    units: bool = True,
    x64: bool | None = True,
    residuals: bool = False,
    outputs: bool = False,
) -> JaxStudyObjective:
    """Return a loss written with ``jax.numpy`` as an objective with its gradient.

    Parameters
    ----------
    loss : callable
        Called as `optdriver.minimize` calls it, traced, and compiled once in each process.
    units : bool
        Hand quantities to it where the bounds have units; otherwise plain numbers.
    x64 : bool or None
        Compute in 64 bits or not, whatever JAX is set to; None leaves it as it is set.  In 32 bits
        the points are rounded to what the loss computes with.
    residuals : bool
        It returns residuals, as arrays of any shapes (and is given their Jacobian), for a study
        with ``driver='least-squares'``.
    outputs : bool
        It returns ``(value, {'stress': ...})``, or a dict of ``value`` and outputs, one number
        each without units, for a study with `outputs`.

    Returns
    -------
    JaxStudyObjective
        For ``study.run`` and ``study.set_objective`` of a study with ``jac=True``.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, optdriver
    >>> bounds = {"w": (np.full(2, -1.0), 1.0), "b": (-1, 1)}
    >>> study = optdriver.create_study(bounds, jac=True, max_num_minimizers=1)
    >>> study.run(jax_objective(lambda w, b: jnp.sum((w - 0.5) ** 2) + (b + 0.25) ** 2))
    >>> study.best.params["w"].round(6), round(study.best.params["b"], 6)
    (array([0.5, 0.5]), -0.25)
    """
    if not callable(loss):
        raise InputTypeError(f"the loss must be a function of the parameters, not {loss!r}")
    if residuals and outputs:
        raise InputError("a loss returns residuals, or a value with outputs, and not both")
    wide = checked_x64(x64)
    return JaxStudyObjective(loss, units=units, x64=wide, residuals=residuals, outputs=outputs)
