"""Programs end with the process that has started them, also when that is killed.

A process that is killed cannot clean up, so another one does: a shell that reads from a pipe which
groups of processes are running, and kills those that are left when the pipe ends; it ends with the
last process that can write to it, which is this one.  The parent-death signal of Linux would reach
the program, but not what the program has started; and it follows the thread that has started it.

There is none on Windows, and where there is no ``/bin/sh``: there programs go on to their end.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from typing import Final

_SHELL: Final = "/bin/sh"
_SCRIPT: Final = r"""
trap '' HUP INT TERM QUIT
cd /
groups=' '
while read -r what group; do
    case $what in
        begins) groups="$groups$group " ;;
        ended) case $groups in
            *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
        esac ;;
    esac
done
for group in $groups; do kill -9 -"$group"; done
"""


class Guard:
    """Has the groups of processes that are running killed if this process ends before them."""

    def __init__(self) -> None:
        self._pipe = self._pid = -1
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._running: set[int] = set()

    @contextlib.contextmanager
    def over(self, group: int) -> Iterator[None]:
        """Guard a group of processes until the end of the block."""
        with self._lock:
            self._running.add(group)
            self._tell(f"begins {group}\n")
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(group)
                self._tell(f"ended {group}\n")

    def forget(self) -> None:
        """Begin anew in a forked child, whose parent's programs are not its own."""
        if self._pipe >= 0:
            os.close(self._pipe)
        self._pipe = -1
        self._begin()

    def _tell(self, line: str) -> None:
        if self._pipe >= 0:
            try:
                os.write(self._pipe, line.encode())
            except OSError:  # the shell was killed, or stopped and the pipe is full
                os.close(self._pipe)
                self._pipe = -1
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(self._pid, os.WNOHANG)
            else:
                return
        if self._running:
            with contextlib.suppress(OSError, AttributeError):  # no shell, or no posix_spawn
                self._start()

    def _start(self) -> None:
        """Start the shell, and tell it all that is running."""
        reading, writing = os.pipe()
        try:
            self._pid = os.posix_spawn(
                _SHELL,
                [_SHELL, "-c", _SCRIPT],
                {},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, reading, 0),
                    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                    (os.POSIX_SPAWN_DUP2, 1, 2),
                ],
                setpgroup=0,  # Ctrl-C is for this process
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        self._pipe = writing
        os.set_blocking(writing, False)
        os.write(writing, "".join(f"begins {group}\n" for group in self._running).encode())


guard: Final = Guard()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=guard.forget)
