"""What callback-style methods need, keep to, and can be told: the one table of SciPy's.

Those of other packages are found by their names, see `optdriver.plugins`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from optdriver import plugins
from optdriver.errors import InputError, nearest, plain_name

GIVEN, KEPT = "given", "kept"


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """What is known of a callback-style method, one of `scipy.optimize.minimize` or another.

    Attributes
    ----------
    name : str
        SciPy's name, or that of another one.
    function : callable, optional
        The method, if it is none of SciPy's: what `scipy.optimize.minimize` takes as its `method`,
        ``function(fun, x0, args=(), jac=None, bounds=None, callback=None, **rest)`` with what it
        may ignore in `rest`, which returns a `scipy.optimize.OptimizeResult`.  It must be
        deterministic, and may call nothing but `fun` and `jac` for values.
    gradient : bool
        Whether it needs gradients.
    hessian : tuple of str
        In what form it takes second derivatives: ``'matrix'``, ``'product'``; none if empty.
    differences : bool
        Whether second derivatives that are not told are differences of gradients, at points that
        are asked for it.
    bounds : bool
        Whether it keeps to bounds: only then it may be given some.
    constraints : str
        `GIVEN` where it takes constraints, and leaves them on its way; `KEPT` where it takes none
        and is told what is at the nearest feasible point; '' where it is given none.
    options : tuple of str
        The names of its options.
    limits : tuple of str
        Those among them that limit its evaluations.
    bowl : bool
        Whether it is told a steep bowl where an evaluation failed, since infinity throws it off.
    evaluations, iterations : tuple of int
        The status with which it ends at its limit of evaluations, and of iterations.
    """

    name: str
    function: Callable[..., Any] | None = None
    gradient: bool = True
    hessian: tuple[str, ...] = ()
    differences: bool = False
    bounds: bool = False
    constraints: str = ""
    options: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    bowl: bool = False
    evaluations: tuple[int, ...] = ()
    iterations: tuple[int, ...] = (1,)


_BOTH = ("matrix", "product")
_REGION = ("initial_trust_radius", "max_trust_radius", "eta", "gtol", "maxiter")
_TNC: tuple[str, ...] = (
    "maxCGit",
    "eta",
    "stepmx",
    "accuracy",
    "minfev",
    "ftol",
    "xtol",
    "gtol",
    "rescale",
)
_TNC += ("scale", "offset")
_INTERIOR: tuple[str, ...] = ("xtol", "gtol", "barrier_tol", "maxiter", "initial_constr_penalty")
_INTERIOR += ("initial_tr_radius", "initial_barrier_parameter", "initial_barrier_tolerance")
_INTERIOR += ("factorization_method",)

METHODS: Final = (
    Method(name="SLSQP", bounds=True, constraints=GIVEN, options=("ftol", "maxiter")),
    Method(
        name="TNC",
        bowl=True,
        bounds=True,
        options=_TNC,
        limits=("maxfun",),
    ),
    Method(
        name="trust-constr",
        hessian=_BOTH,
        bounds=True,
        constraints=GIVEN,
        options=_INTERIOR,
    ),
    Method(
        name="Nelder-Mead",
        gradient=False,
        bounds=True,
        constraints=KEPT,
        options=("xatol", "fatol", "adaptive", "initial_simplex", "maxiter", "maxfev"),
        limits=("maxfev",),
    ),
    Method(
        name="Powell",
        gradient=False,
        bounds=True,
        constraints=KEPT,
        options=("xtol", "ftol", "direc", "maxiter", "maxfev"),
        limits=("maxfev",),
    ),
    Method(
        name="COBYQA",
        gradient=False,
        bounds=True,
        constraints=GIVEN,
        options=("f_target", "initial_tr_radius", "final_tr_radius", "scale", "maxiter", "maxfev"),
        limits=("maxfev",),
    ),
    Method(
        name="COBYLA",
        gradient=False,
        bounds=True,
        constraints=GIVEN,
        options=("rhobeg", "tol", "f_target", "maxiter"),
    ),
    Method(name="BFGS", options=("gtol", "norm", "xrtol", "c1", "c2", "hess_inv0", "maxiter")),
    Method(name="CG", options=("gtol", "norm", "c1", "c2", "maxiter")),
    Method(
        name="Newton-CG",
        bowl=True,
        hessian=_BOTH,
        differences=True,
        options=("xtol", "eps", "c1", "c2", "maxiter"),
    ),
    Method(name="dogleg", bowl=True, hessian=("matrix",), differences=True, options=_REGION),
    Method(name="trust-ncg", bowl=True, hessian=_BOTH, differences=True, options=_REGION),
    Method(
        name="trust-krylov",
        bowl=True,
        hessian=_BOTH,
        differences=True,
        options=(*_REGION, "inexact"),
    ),
    Method(
        name="trust-exact",
        bowl=True,
        hessian=("matrix",),
        differences=True,
        options=(*_REGION, "subproblem_maxiter"),
    ),
)


def method_names(*, bounds: bool = False, constraints: str = "") -> tuple[str, ...]:
    """Return the names of the methods; of those that keep to bounds with ``bounds=True``.

    `constraints` asks for those of `GIVEN` or `KEPT`.
    """
    return tuple(
        method.name
        for method in METHODS
        if (method.bounds or not bounds) and constraints in ("", method.constraints)
    )


def known_method(name: str) -> Method | None:
    """Return the method called `name`, in upper or lower case; None if there is none."""
    for method in METHODS:
        if plain_name(method.name) == plain_name(name):
            return method
    found = plugins.find(name)
    return found if isinstance(found, Method) else None


def named(name: str) -> Method:
    """Return the method called `name`, in upper or lower case.

    Raises
    ------
    InputError
        There is none; the message names the nearest.
    """
    if not isinstance(name, str):
        raise InputError(f"a method is chosen by its name, a string, not {name!r}")
    found = known_method(name)
    if found is not None:
        return found
    known = method_names()
    raise InputError(f"unknown method {name!r}{nearest(name, known)}; known: {', '.join(known)}")
