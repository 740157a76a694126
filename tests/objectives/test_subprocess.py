"""Programs as objectives: what they are given, what they answer, how they end."""

from __future__ import annotations

import os
import pickle
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import optdriver
from optdriver import SubprocessObjective
from optdriver.errors import EvaluationError, InputError, InputTypeError
from optdriver.objectives import answers, output, shared_files
from optdriver.objectives.orphans import Guard
from tests.study.tools import BOX

READ = "import json, os, sys; p = json.load(sys.stdin); "


def program(code, *arguments, **options):
    return SubprocessObjective([sys.executable, "-c", code, *arguments], **options)


def test_json_on_the_standard_input():
    objective = program(READ + "print('talk'); print(); print(p['x'] * p['y']); print(' ')")
    assert objective(x=0.1, y=3) == 0.1 * 3


def test_every_bit_of_a_number_arrives():
    objective = program(READ + "print(json.dumps(p['x']))")
    for x in (0.1 + 0.2, 5e-324, -0.0, 1.7976931348623157e308):
        assert objective(x=x).hex() == x.hex()


def test_arguments_and_files():
    code = (
        "import json, sys\n"
        "p = json.load(open(sys.argv[2]))\n"
        "assert float(sys.argv[1]) == p['x'] and sys.argv[4] == chr(123) + 'x}'\n"
        "json.dump({'value': p['x'], 'gradient': {'x': 1.0}}, open(sys.argv[3], 'w'))\n"
        "print('something else')\n"
    )
    objective = program(code, "{x}", "{input}", "{output}", "{{x}}")
    assert objective(x=0.3) == (0.3, {"x": 1.0})


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ("3", 3.0),
        ('{"value": 2.5}', 2.5),
        ('{"value": 2.5, "gradient": null}', 2.5),
        ('{"value": 1, "gradient": [1, 2]}', (1.0, [1, 2])),
    ],
)
def test_answers(answer, result):
    assert program(f"print({answer!r})")(x=1.0) == result


@pytest.mark.parametrize("answer", ["", "nothing", "[1, 2]", '{"f": 1}', '{"value": "1"}', "true"])
def test_what_is_no_answer(answer):
    with pytest.raises(EvaluationError, match="should answer with a number or"):
        program(f"print({answer!r})")(x=1.0)


def test_a_program_that_fails_says_why():
    with pytest.raises(EvaluationError, match=r"(?s)ended with status 3: .*no convergence"):
        program("import sys; print('no convergence', file=sys.stderr); sys.exit(3)")(x=1.0)
    with pytest.raises(EvaluationError, match=r"ended by SIGKILL and wrote nothing"):
        program("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")(x=1.0)
    with pytest.raises(EvaluationError) as caught:
        program("import sys; sys.stderr.write('a' * 10**6 + 'the end'); sys.exit(1)")(x=1.0)
    assert str(caught.value).endswith("the end")
    assert len(str(caught.value)) < 2200


def test_the_time_limit_ends_the_whole_group(tmp_path):
    code = (
        "import subprocess, sys, pathlib, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"pathlib.Path({str(tmp_path / 'child')!r}).write_text(str(child.pid))\n"
        "print('working', file=sys.stderr, flush=True)\n"
        "child.wait()\n"
    )
    with pytest.raises(EvaluationError, match="was killed after 2 s: working"):
        program(code, timeout=2)(x=1.0)
    child = int(tmp_path.joinpath("child").read_text())
    while alive(child):  # the kernel is about to take it away
        continue


def alive(pid):
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        return status.rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_program_is_in_a_group_of_its_own():
    assert program("import os; print(os.getpgrp())")(x=1.0) != os.getpgrp()


def test_directory_and_environment(tmp_path):
    code = "import os, json; print(json.dumps({'value': 1, 'gradient': [os.getcwd(), "
    objective = program(code + "os.environ['KEY']]}))", cwd=tmp_path, env={"KEY": "word"})
    assert objective(x=1.0) == (1.0, [os.path.realpath(tmp_path), "word"])


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("./simulate {x}", "command is a list"),
        ([], "command is empty"),
        (["run", 3], "a list of strings, but 3 is none"),
    ],
)
def test_no_command(command, said):
    with pytest.raises(InputError, match=said):
        SubprocessObjective(command)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "1", True])
def test_no_time_limit(timeout):
    with pytest.raises(InputError, match="timeout is a"):
        SubprocessObjective(["run"], timeout=timeout)


def test_mistakes_that_every_evaluation_would_make_end_the_run():
    study = optdriver.create_study(BOX, max_iter=5)
    with pytest.raises(InputError, match=r"names \{x3\}, which is none of x1, x2, radius, input"):
        study.run(program("print(1)", "--x={x3}"))
    with pytest.raises(InputError, match="'no-such-program' cannot be started"):
        study.run(SubprocessObjective(["no-such-program"]))
    with pytest.raises(InputTypeError, match="timeout"):
        SubprocessObjective(["run"], timeout=[])
    assert study.info()["num_failed"] == 0


def test_it_travels_to_other_processes():
    objective = pickle.loads(pickle.dumps(program(READ + "print(p['x'])", timeout=60)))
    assert objective(x=2.0) == 2.0
    assert "timeout=60" in repr(objective)


def test_a_study_of_a_program():
    code = READ + (
        "x, y = p['x1'], p['x2']\n"
        "if x > 1.4: sys.exit('mesh too fine')\n"
        "g = {'x1': 2 * (x - 0.3), 'x2': 2 * y}\n"
        "print(json.dumps({'value': (x - 0.3)**2 + y**2, 'gradient': g}))"
    )
    study = optdriver.create_study(
        BOX, jac=True, num_parallel=2, max_num_minimizers=1, initial_samples=[[1.45, 1], [1, 1]]
    )
    study.run(program(code, timeout=60))
    assert study.best.value == pytest.approx(0.0, abs=1e-12)
    assert study.history["reason"][0].endswith("ended with status 1: mesh too fine")


def wait_for(path):
    while not (path.exists() and path.read_text().endswith("\n")):
        continue
    return [int(pid) for pid in path.read_text().split()]


def gone(pids):
    while any(alive(pid) for pid in pids):  # the kernel, or the shell, is about to end them
        continue
    return True


SLEEPS = "import os, sys, time; print(os.getpid(), file=open(sys.argv[1], 'w')); time.sleep(600)"


def test_ctrl_c_ends_the_program(monkeypatch, tmp_path):
    def interrupted(*_):
        wait_for(tmp_path / "pid")
        raise KeyboardInterrupt

    monkeypatch.setattr(optdriver.objectives.subprocess, "gather", interrupted)
    with pytest.raises(KeyboardInterrupt):
        program(SLEEPS, str(tmp_path / "pid"))(x=1.0)
    assert gone(wait_for(tmp_path / "pid"))


@pytest.mark.parametrize("text", ["'x' * 10**6", r"'line\n' * 10**5"])
def test_endless_output_ends_at_the_time_limit_in_bounded_memory(text):
    code = f"import sys\nwhile True: sys.stdout.write({text}); sys.stderr.write({text})"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EvaluationError, match="was killed after 1 s: "):
        program(code, timeout=1)(x=1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KiB


def test_an_answer_behind_much_output(monkeypatch):
    monkeypatch.setattr(answers, "MOST", 1000)
    monkeypatch.setattr(output.Tail.__init__, "__defaults__", (1000,))
    assert program("for k in range(9999): print('step', k)\nprint(2.5)")(x=1.0) == 2.5
    for code in ("print('[' + '1,' * 999 + '1]')", "print('1' * 99999)"):
        with pytest.raises(EvaluationError, match="last line of its standard output has more"):
            program(code)(x=1.0)
    with pytest.raises(EvaluationError, match="output.json has more than 1000 bytes"):
        program("import sys; open(sys.argv[1], 'w').write(' ' * 2000)", "{output}")(x=1.0)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.mkfifo(sys.argv[1])", "is not a plain file"),
        ("os.mkdir(sys.argv[1])", "is not a plain file"),
        ("os.symlink('/dev/zero', sys.argv[1])", "is not a plain file"),
        ("open(sys.argv[1], 'w').write('[' * 10**6)", "should answer with a number"),
        ("print('[' * 10**6 + ']' * 10**6)", "should answer with a number"),
        ("print('{\"a\":' * 10**5 + '1' + '}' * 10**5)", "should answer with a number"),
        ("print('9' * 400)", "too large for a float"),
        ("print('9' * 10**6 + 'x')", "should answer with a number"),
    ],
)
def test_strange_answers_are_failures_with_a_reason(code, said):
    with pytest.raises(EvaluationError, match=said):
        program(f"import os, sys; {code}", "{output}", timeout=60)(x=1.0)


def test_a_child_that_keeps_the_pipes_is_not_waited_for(tmp_path):
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, file=open(sys.argv[1], 'w'))\n"
        "print(1.5)"
    )
    assert program(code, str(tmp_path / "pid"))(x=1.0) == 1.5
    (child,) = wait_for(tmp_path / "pid")
    os.kill(child, signal.SIGKILL)


STUDY = """
import sys, threading
from optdriver import SubprocessObjective
code = '''
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
print(os.getpid(), child.pid, file=open(sys.argv[1], 'w'))
child.wait()
'''
for k in range(4):
    command = [sys.executable, '-c', code, f"{sys.argv[1]}/{k}"]
    threading.Thread(target=SubprocessObjective(command), kwargs={"x": 1.0}).start()
"""


def test_the_programs_of_a_process_that_is_killed_end_with_it(tmp_path):
    study = subprocess.Popen([sys.executable, "-c", STUDY, str(tmp_path)])
    pids = [pid for k in range(4) for pid in wait_for(tmp_path / str(k))]
    assert len(pids) == 8
    assert all(alive(pid) for pid in pids)
    study.kill()
    study.wait()
    assert gone(pids)


def test_a_guard_that_was_killed_is_replaced():
    guard = Guard()
    sleepers = [subprocess.Popen(["sleep", "600"], start_new_session=True) for _ in range(2)]
    with guard.over(sleepers[0].pid):
        first = guard._pid
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        with guard.over(sleepers[1].pid):
            assert guard._pid != first
        guard.forget()  # as if this process had ended
    assert sleepers[0].wait() == -signal.SIGKILL
    assert sleepers[1].poll() is None
    sleepers[1].kill()
    sleepers[1].wait()


def test_an_answer_of_an_earlier_evaluation_is_not_read_again(tmp_path):
    code = (
        "import os, sys\nx = float(sys.argv[1])\n"
        "if x < 0.6: open(sys.argv[2], 'w').write(str(x * x))\n"
    )
    for where in ("out.txt", str(tmp_path / "other.txt")):
        objective = program(code, "{x}", where, cwd=tmp_path, value={"file": where})
        assert [objective(x=0.5), objective(x=0.25), objective(x=0.5)] == [0.25, 0.0625, 0.25]
        with pytest.raises(EvaluationError, match="is older than this evaluation"):
            objective(x=0.75)
        assert objective(x=0.5) == 0.25

    study = optdriver.create_study({"x": (0, 1)}, max_iter=12)  # which asks on both sides of 0.6
    study.run(program(code, "{x}", "out.txt", cwd=tmp_path, value={"file": "out.txt"}))
    x, value = study.history["x"], study.history["value"]
    assert (x > 0.6).any()
    assert all((v != v) if at >= 0.6 else v == at * at for at, v in zip(x, value, strict=True))


def test_an_old_answer_is_seen_where_its_time_cannot_be_set(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise PermissionError

    (tmp_path / "out.txt").write_text("7")
    monkeypatch.setattr(os, "utime", refused)
    with pytest.raises(EvaluationError, match="is older than this evaluation"):
        program("", cwd=tmp_path, value={"file": "out.txt"})()
    code = "import os; os.remove('out.txt'); open('out.txt', 'w').write('81')"
    assert program(code, cwd=tmp_path, value={"file": "out.txt"})() == 81.0


def test_two_evaluations_at_a_time_do_not_share_a_file(tmp_path):
    code = "import sys; open('out.txt', 'w').write(sys.argv[1])"
    shared = program(code, "{x}", cwd=tmp_path, value={"file": "out.txt"})
    own = program(code, "{x}", value={"file": "out.txt"}, workdir=tmp_path / "runs" / "{id}")
    with shared_files.alone([tmp_path / "out.txt"]):  # as the first of the two does
        with pytest.raises(InputError, match=r"two evaluations at a time .* workdir='runs/\{id\}'"):
            shared(x=0.5)
        assert own(x=0.5) == 0.5
    assert shared(x=0.25) == 0.25


def test_an_argument_that_names_a_file_of_another_directory(tmp_path, monkeypatch):
    (tmp_path / "solve.py").write_text("print(3)")
    monkeypatch.chdir(tmp_path)
    there = SubprocessObjective([sys.executable, "solve.py"], workdir="runs/{id}")
    with pytest.raises(EvaluationError, match="there is no solve.py: write " + str(tmp_path)):
        there()
    whole = SubprocessObjective([sys.executable, str(tmp_path / "solve.py")], workdir="runs/{id}")
    assert whole() == 3.0
