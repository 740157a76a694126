"""Options of the device engine: those of `optdriver.lbfgsb`, and what float32 needs."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np

from optdriver.batch.jax.state import Settings
from optdriver.errors import unknown_option
from optdriver.lbfgsb.options import Options

LARGEST = 2**31 - 1
"""Counters are 32 bits wide."""

SINGLE = {"ftol": -1.0, "gtol": 1e-3, "maxfun": 2000}
"""Defaults for float32: values are too coarse for the f test, which is off."""

ROUNDING = 64.0
"""Roundoffs of f below which a promised decrease is not to be seen in float32."""

_NAMES = frozenset(field.name for field in dataclasses.fields(Options))


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Options as given: None where the default depends on the precision."""

    given: tuple[tuple[str, Any], ...]
    straight: bool | None

    @classmethod
    def read(cls, straight: bool | None, options: dict[str, Any]) -> DeviceOptions:
        """Check the options; an unknown name is an error that names the nearest one."""
        for name in options:
            if name not in _NAMES:
                raise unknown_option("option", name, {*_NAMES, "straight"})
        given = {name: value for name, value in options.items() if value is not None}
        Options(**given)
        return cls(given=tuple(sorted(given.items())), straight=straight)

    def settings(self, dtype: Any, *, boundless: bool = False) -> Settings:
        """Return the numbers for a precision, and for variables of which none has a bound."""
        single = np.finfo(dtype).bits < 64
        options = Options(**dict(self.given))
        chosen = {**(SINGLE if single else {}), **dict(self.given)}
        straight = jax.default_backend() != "cpu" if self.straight is None else self.straight
        return Settings(
            maxcor=int(options.maxcor),
            ftol=float(chosen.get("ftol", options.ftol)),
            gtol=float(chosen.get("gtol", options.gtol)),
            maxfun=int(min(chosen.get("maxfun", options.maxfun), LARGEST)),
            maxiter=int(min(options.maxiter, LARGEST)),
            maxls=int(min(options.maxls, LARGEST)),
            initial_step=float(options.initial_step or 0.0),
            noise=float(options.noise),
            rounding=ROUNDING if single else 0.0,
            straight=straight,
            cautious=options.cautious,
            boundless=boundless,
        )
