"""Many small jobs in processes of their own: one that hangs or crashes costs its time, no more.

Jobs are forked, so that what they work on need not be pickled, and held to processor time, so that
a busy machine changes nothing.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import resource
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

Report = Callable[[Any], None]
Job = Callable[[Report], None]


def last_reports(
    jobs: Sequence[Job], seconds: float, processes: int | None = None
) -> Iterator[tuple[int, Any]]:
    """Run all jobs; yield the index of each as it ends, with the last thing that it reported.

    A job that reported nothing gives None. After `seconds` of processor time a job is killed.
    """
    context = mp.get_context("fork")
    waiting, live = list(reversed(list(enumerate(jobs)))), {}
    while waiting or live:
        while waiting and len(live) < (processes or os.cpu_count() or 1):
            index, job = waiting.pop()
            mine, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_do, args=(job, theirs, seconds), daemon=True)
            process.start()
            theirs.close()
            live[mine] = [index, process, None]
        for connection in wait(list(live)):
            try:
                live[connection][2] = connection.recv()
            except EOFError:
                index, process, last = live.pop(connection)
                connection.close()
                process.join()
                yield index, last


def _do(job: Job, connection: Connection, seconds: float) -> None:
    limit = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job(connection.send)
