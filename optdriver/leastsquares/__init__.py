"""Nonlinear least squares within bounds, driven by ask and tell."""

from optdriver.leastsquares.losses import LOSSES
from optdriver.leastsquares.minimizer import LeastSquares
from optdriver.leastsquares.options import LeastSquaresOptions
from optdriver.leastsquares.state import Stop

__all__ = ["LOSSES", "LeastSquares", "LeastSquaresOptions", "Stop"]
