"""One entry for each habit: ``nox -l`` lists them.  Plain commands stand in CONTRIBUTING.md."""

import nox

nox.options.sessions = ["tests", "lint"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def tests(session: nox.Session) -> None:
    """Run the quick tests, or those that are named."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the tests that take longer: kills, signals, long properties, installations."""
    session.install("-e", ".[dev]")
    session.run("python", "-m", "pytest", "-m", "slow", *session.posargs)


@nox.session
def interpreted(session: nox.Session) -> None:
    """Run the kernel's tests uncompiled, with branch coverage."""
    session.install("-e", ".[dev]")
    kernel = {"OPTDRIVER_KERNEL": "interpreted"}
    pytest = ("pytest", "-q", "-n", "0", "-m", "", "tests/lbfgsb")
    session.run("python", "-m", "coverage", "run", "-m", *pytest, env=kernel)
    session.run("python", "-m", "coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Look at style, format and types."""
    session.install("-e", ".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into site/, warnings as errors."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "site")


@nox.session
def reference(session: nox.Session) -> None:
    """Write the pages of the reference that say what the code says."""
    session.install("-e", ".[cli,docs,server]")
    session.run("python", "docs/generate.py")


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the page in Chromium: the one on the path, or that of OPTDRIVER_CHROMIUM."""
    session.install("-e", ".[browser,dev]")
    session.run("python", "-m", "pytest", "-n", "0", "-m", "slow", "tests/server/test_browser.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks that are named, or all."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)
