"""What `optdriver new` writes."""

from __future__ import annotations

from typing import Final

TEXT: Final = """\
# A study of optdriver.  Check it with `optdriver check {file}`, run it with `optdriver run {file}`:
# the same command goes on after it was stopped, killed, or extended.

name = "{name}"
storage = "{name}.db"                 # everything that was evaluated is kept here

[parameters]                          # a range is varied, a number is fixed
x1 = {{ domain = [-1.5, 1.5] }}         # unit = "nm" is shown; scale = "log" varies the logarithm
x2 = {{ domain = [-1.5, 1.5] }}
radius = 1.2
# twice = {{ formula = "2*x1" }}        # depends on others; the program gets it as well

[constraints]                         # never violated by a point that is evaluated
disc = "x1^2 + x2^2 <= radius^2"

[study]
max_iter = 200                        # evaluations, differences included
num_parallel = 2                      # at a time
max_num_minimizers = 3                # minima to converge to
# max_time = "12h"
# jac = true                          # the program supplies the gradient

[objective]
# The program runs in a work directory of its own (write whole paths in its arguments), with the
# suggestion's number in OPTDRIVER_ID.
# {{x1}} in an argument is the parameter; or it reads JSON on its standard input; or:
# template = {{ "deck.in.j2" = "deck.in" }}   # {{{{ x1 }}}} or {{{{ "%.8e" % x1 }}}} there
command = ["python3", "-c", "print(({{x1}} - 0.5)**2 + ({{x2}} + 1.0)**2)"]
# value = {{ file = "out.txt", pattern = 'R\\s*=\\s*(\\S+)' }}   # otherwise the last line printed
# gradient = {{ file = "grad.txt" }}    # a number a line, or name = number
# workdir = "runs/{{id}}"
# keep = "failed"                     # "all", "failed" or "none" of the work directories
timeout = "40min"
"""


def text(name: str, file: str) -> str:
    """Return a description with comments, ready to be edited."""
    return TEXT.format(name=name, file=file)
