"""Spread tasks over processes and machines through joblib's backends, and go on when a worker is killed."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
import platform
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError
from typing import Any

import joblib
import numpy as np
from joblib.externals.loky.backend.reduction import dumps
from joblib.parallel import get_active_backend

# With loky one worker that dies takes all others with it: who killed it shows when a task is lost again and again. The
# scheduler of dask has retried a task several times before it is given up.
MAX_LOSSES = {"loky": 2, "dask": 1}

_unpacked: dict[str, Any] = {}
_limited = threading.local()


def runs_here(n_jobs: int | None) -> bool:
    """Tell whether tasks run one after the other in this process, by ``n_jobs`` and ``joblib.parallel_config``."""
    # Whoever names a cluster means it, even one of a single core.
    return joblib.effective_n_jobs(n_jobs) == 1 and (n_jobs == 1 or _client(get_active_backend()[0]) is None)


def spread(
    function: Callable, shared: Any, tasks: dict[str, tuple], n_jobs: int | None = None
) -> Iterator[tuple[str, Any]]:
    """Call ``function(shared, *arguments)`` for each task, and yield the results as they come.

    ``shared`` is sent to each worker once, the arguments with each task. In a worker process torch and BLAS have one
    thread, unless ``OMP_NUM_THREADS`` is set in its environment, as loky and the nanny of dask do.

    A task whose worker is killed is done again, at last with no other beside it.

    Parameters
    ----------
    function : callable
        Found by its name in an installed module.
    shared : object
        Is not written to.
    tasks : dict of tuple
        Arguments by name.
    n_jobs : int or None, default=None
        Number of tasks at a time. None means that of ``joblib.parallel_config``. A dask cluster takes as many as it has
        threads.

    Yields
    ------
    name : str
    result : object
        None for a task that killed its worker each time.

    Examples
    --------
    >>> dict(spread(round, 2.7183, {"coarse": (1,), "fine": (3,)}))
    {'coarse': 2.7, 'fine': 2.718}
    """
    backend = get_active_backend()[0]
    client = _client(backend)
    run = _with_joblib(function, shared, n_jobs, backend) if client is None else _with_dask(function, shared, backend)
    limit = MAX_LOSSES["loky" if client is None else "dask"]
    losses = dict.fromkeys(tasks, 0)
    while losses:
        alone = [name for name, number in losses.items() if number >= limit][:1]
        for name, result in run({name: tasks[name] for name in alone or losses}):
            if result is not None or alone:
                del losses[name]
                yield name, result
            else:
                losses[name] += 1


def _client(backend):
    """Client of the dask cluster of a backend; None of any other."""
    return getattr(backend, "client", None)


def _with_joblib(function, shared, n_jobs, backend):
    """Return what runs tasks and yields their names with results, or None for those that a broken pool has lost."""
    if getattr(backend, "supports_sharedmem", False):
        sent = (shared, "")
    else:
        # As an array joblib sends it by memory map, but for small ones.
        packed = np.frombuffer(dumps(shared), dtype=np.uint8)
        sent = (packed, hashlib.sha256(packed.data).hexdigest())
    call, home = joblib.delayed(_work), _process()

    def run(tasks):
        running = []

        def calls():
            for name, arguments in tasks.items():
                running.append(name)
                yield call(name, function, *sent, arguments, home)

        # One by one, so that what is lost with a pool is what was running in it, no more.
        parallel = joblib.Parallel(n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
        try:
            for name, result in parallel(calls()):
                running.remove(name)
                yield name, result
        except BrokenExecutor:
            yield from ((name, None) for name in running)

    return run


def _with_dask(function, shared, backend):
    """Return what runs tasks and yields their names with results, or None for those that the scheduler gave up.

    The same through ``joblib.Parallel`` would wait forever for a task that killed its workers, and for one that needs
    data of a worker that is gone.
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    client, home = backend.client, _process()

    def run(tasks):
        # The result of a task, other than data that is sent, is computed again when the worker that has it is gone.
        sent = client.submit(_itself, shared, pure=False, **backend.submit_kwargs)
        names: dict[Any, str] = {}
        todo, completed = iter(tasks.items()), as_completed(loop=client.loop)

        def refill():  # workers come and go
            room = 2 * max(1, sum(client.ncores().values())) - len(names)
            for name, arguments in itertools.islice(todo, max(0, room)):
                about = (name, function, sent, "", arguments, home)
                future = client.submit(_work, *about, pure=False, **backend.submit_kwargs)
                names[future] = name
                completed.add(future)

        try:
            with backend.retrieval_context():
                refill()
                for future in completed:
                    name = names.pop(future)
                    try:
                        result = future.result()[1]
                    except (KilledWorker, CancelledError):
                        result = None
                    refill()
                    yield name, result
        finally:
            client.cancel(list(names))

    return run


def _itself(shared):
    return shared


def _process():
    return platform.node(), os.getpid()


def _work(name, function, shared, checksum, arguments, home):
    """Do one task in a worker."""
    if _process() != home:
        _limit_threads()
    if checksum:
        shared = _unpack(shared, checksum)
    return name, function(shared, *arguments)


def _unpack(packed, checksum):
    """Unpickle what this process does not have from the last task."""
    try:
        return _unpacked[checksum]
    except KeyError:
        shared = pickle.loads(packed)
        _unpacked.clear()
        _unpacked[checksum] = shared
        return shared


def _limit_threads():
    """Leave the cores to the other workers; OpenMP wants to be told in each thread."""
    if "OMP_NUM_THREADS" in os.environ or getattr(_limited, "done", False):
        return
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    _limited.done = True
