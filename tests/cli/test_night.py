"""A night and a morning: a compiled program that crashes, a study that is killed, and looked at.

The program kills what is to be killed itself, at evaluations that it counts in a file, and waits at
one of them until somebody has looked: nothing here depends on how fast the machine is.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import optdriver

PROGRAM = r"""
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static long counted(const char *place)          /* evaluations so far, this one included */
{
    struct stat found;
    int file = open(place, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (write(file, "x", 1) != 1 || fstat(file, &found)) exit(7);
    close(file);
    return (long)found.st_size;
}

static void fortran(FILE *out, const char *format, double value)
{
    char text[64], *at;
    snprintf(text, sizeof text, "%.16E", value);
    if ((at = strchr(text, 'E'))) *at = 'D';
    fprintf(out, format, text);
}

int main(void)
{
    char place[500];
    double d1, d2;
    const char *night = getenv("NIGHT");
    FILE *deck = fopen("film.nml", "r");
    if (!deck || fscanf(deck, " d1 = %lf d2 = %lf", &d1, &d2) != 2) return 3;
    snprintf(place, sizeof place, "%s/count", night);
    long n = counted(place);
    if (n == 12 || n == 25) { kill(getppid(), SIGKILL); pause(); }   /* the study dies */
    if (n == 18) raise(SIGKILL);                                     /* the program dies */
    if (n == 30) {                                                   /* somebody looks */
        char byte;
        snprintf(place, sizeof place, "%s/look", night);
        int file = open(place, O_RDONLY);
        if (read(file, &byte, 1) != 1) return 8;
    }
    if (d1 > 1.4) abort();                                           /* no mesh there */
    FILE *out = fopen("out.txt", "w"), *slopes = fopen("grad.txt", "w");
    fprintf(out, " ITERATION 7\n RESIDUAL = 1.\n");
    double r = 1.0 + pow(d1 - 0.5, 2) + 2.0 * pow(d2 + 0.3, 2) + d1 * d1 * d2 * d2;
    fortran(out, "   R =  %s\n", r);
    fortran(slopes, "%s\n", 2.0 * (d1 - 0.5) + 2.0 * d1 * d2 * d2);
    fortran(slopes, "%s\n", 4.0 * (d2 + 0.3) + 2.0 * d1 * d1 * d2);
    return 0;
}
"""

STUDY = r"""
name = "film"
[parameters]
d1 = { domain = [-2, 2], unit = "um" }
d2 = { domain = [-2, 2], unit = "um" }
[constraints]
total = "d1 + d2 <= 3"
[study]
jac = true
num_parallel = 8
num_initial = 8
max_iter = 40
[objective]
command = ["HERE/film"]
template = { "film.nml.in" = "film.nml" }
value = { file = "out.txt", pattern = '^\s*R\s*=\s*(\S+)' }
gradient = { file = "grad.txt" }
workdir = "runs/{id}"
keep = "failed"
timeout = "2min"
env = { NIGHT = "HERE" }
"""


@pytest.fixture
def night(tmp_path):
    """A directory with everything in it; `call` runs a command there."""
    (tmp_path / "film.c").write_text(PROGRAM)
    subprocess.run(["cc", "-o", tmp_path / "film", tmp_path / "film.c", "-lm"], check=True)
    (tmp_path / "film.nml.in").write_text('d1 = {{ "%.17e" % d1 }}\nd2 = {{ "%.17e" % d2 }}\n')
    (tmp_path / "film.toml").write_text(STUDY.replace("HERE", str(tmp_path)))
    os.mkfifo(tmp_path / "look")
    return tmp_path


ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(optdriver.__file__).parents[1])}


def command(night, *words):
    return subprocess.Popen(
        [sys.executable, "-c", "from optdriver.cli import main; main()", *map(str, words)],
        cwd=night, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def call(night, *words):
    process = command(night, *words)
    try:
        out, err = process.communicate(timeout=200)
    finally:
        process.kill()
    return process.returncode, out, err


def awaited(pipe, process):
    """Open a pipe at whose other end a program waits; fail where there will be none."""
    while process.poll() is None:
        try:
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
        except OSError as error:
            assert error.errno == errno.ENXIO  # nobody reads yet
    raise AssertionError(process.communicate()[1])


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("cc") is None or not hasattr(os, "mkfifo"), reason="there is no C compiler here"
)
def test_a_night_and_a_morning(night):
    status, _, err = call(night, "run", "film.toml")
    assert status == -signal.SIGKILL, err
    status, out, _ = call(night, "show", "film.db", "--json")
    assert status == 0
    first = json.loads(out)["num_evaluations"]
    assert 0 < first < 12
    assert json.loads(out)["status"] == "idle"
    assert call(night, "run", "film.toml")[0] == -signal.SIGKILL

    running = command(night, "run", "film.toml")
    try:
        with awaited(night / "look", running) as look:
            status, out, err = call(night, "show", "film.db", "--json")
            seen = json.loads(out)
            assert (status, seen["status"]) == (0, "running"), err
            assert first < seen["num_evaluations"] < 40
            look.write(b"x")
        _, log = running.communicate(timeout=200)
    finally:
        running.kill()
    assert running.returncode == 0, log
    assert "evaluation" in log
    assert "best: " in log

    status, out, err = call(night, "extend", "film.db", "max_iter=400", "max_num_minimizers=6")
    assert status == 0, err
    assert call(night, "run", "film.toml", "--quiet")[0] == 0
    assert call(night, "plot", "film.db", "history.png")[0] == 0
    assert (night / "history.png").stat().st_size > 5000
    status, out, _ = call(night, "verify", "film.db")
    assert status == 0
    assert "bit for bit" in out

    with optdriver.load_study(night / "film.db", read_only=True) as study:
        history, info = study.history, study.info()
        assert info["success"]
        # the known minimum, of the same function minimised by SciPy
        from scipy.optimize import minimize

        known = minimize(
            lambda x: 1 + (x[0] - 0.5) ** 2 + 2 * (x[1] + 0.3) ** 2 + (x[0] * x[1]) ** 2,
            [0.5, -0.3], tol=1e-14,
        )  # fmt: skip
        assert study.best.value == pytest.approx(known.fun, abs=1e-9)
        assert len(set(history["id"].tolist())) == len(history["id"])
        failed = set(history["id"][history["state"] == "failed"].tolist())
        crashed = history["d1"] > 1.4
        assert crashed.any()
        assert set(history["state"][crashed]) == {"failed"}
        reasons = set(history["reason"][history["state"] == "failed"])
        assert any("SIGABRT" in reason for reason in reasons)
    kept = {int(path.name.partition("-")[0]) for path in (night / "runs").iterdir()}
    assert failed <= kept
    # beside those only what the kills of the study have left behind
    assert len(kept - failed) <= 2 * 8
