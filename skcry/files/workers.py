"""Spread tasks over processes or machines with joblib, and retry those whose worker was killed."""

from __future__ import annotations

import functools
import os
import pickle
import platform
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from typing import Any

import joblib
import numpy as np

from .._compat import dask_backend

_unpickle = functools.lru_cache(maxsize=1)(pickle.loads)  # once in each worker, since its tasks share one object


def runs_here(n_jobs: int | None) -> bool:
    """Tell whether ``n_jobs`` and ``joblib.parallel_config`` mean one task at a time, in this process."""
    # A dask cluster is used even if it has a single core.
    return n_jobs == 1 or (joblib.effective_n_jobs(n_jobs) == 1 and dask_backend() is None)


def spread(
    function: Callable, shared: Any, tasks: Iterable[Hashable], n_jobs: int | None = None
) -> Iterator[tuple[Any, Any]]:
    """Call ``function(shared, task)`` for each task in a worker, and yield tasks with results as these are ready.

    The result is None for a task that kills its worker even when no other task is running. Worker processes use one
    thread, unless ``OMP_NUM_THREADS`` is set in their environment, as by loky and by the nanny of dask.
    """
    # As an array: joblib sends arrays of 1 MB or more once, by memory map.
    packed = np.frombuffer(pickle.dumps(joblib.wrap_non_picklable_objects(shared, keep_wrapper=False)), dtype=np.uint8)
    options = {"function": function, "packed": packed, "home": (platform.node(), os.getpid())}
    run = _run_joblib if dask_backend() is None else _run_dask
    left = dict.fromkeys(tasks)
    while left:
        lost = []
        for task, result in run(list(left), n_jobs, options):
            del left[task]
            if result is None:
                lost.append(task)
            else:
                yield task, result
        for task in lost:  # one at a time, to find the one that kills its worker
            yield from run([task], n_jobs, options)


def _run_joblib(tasks, n_jobs, options):
    """Yield tasks with results; if a worker is killed, those that were running with None, and none of the others."""
    call, running = joblib.delayed(_work), []

    def calls():
        for task in tasks:
            running.append(task)
            yield call(task, **options)

    # A broken pool loses all tasks that it was given, so it is given no more than it can run.
    parallel = joblib.Parallel(n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)
    try:
        for task, result in parallel(calls()):
            running.remove(task)
            yield task, result
    except BrokenExecutor:
        yield from ((task, None) for task in running)


def _run_dask(tasks, n_jobs, options):
    """Yield tasks with results, or with None if lost with a worker; `joblib.Parallel` would wait for these forever."""
    from distributed import KilledWorker, as_completed

    backend = dask_backend()
    client, about = backend.client, {"pure": False, **backend.submit_kwargs}
    # The result of a task is computed again if its worker is killed; data that was scattered would be lost.
    packed = client.submit(np.asarray, options["packed"], **about)
    futures = dict(zip(client.map(_work, tasks, **{**options, "packed": packed}, **about), tasks, strict=True))
    try:
        with backend.retrieval_context():
            for future in as_completed(futures, loop=client.loop):
                task = futures.pop(future)
                try:
                    yield future.result()
                except KilledWorker:
                    yield task, None
    finally:
        client.cancel(list(futures))


def _work(task, function, packed, home):
    """Do one task in a worker: another process, or a thread of the process ``home``."""
    if (platform.node(), os.getpid()) != home and "OMP_NUM_THREADS" not in os.environ:
        import torch
        from threadpoolctl import threadpool_limits

        # For each task, because OpenMP counts the threads of each thread.
        torch.set_num_threads(1)
        threadpool_limits(1)
    return task, function(_unpickle(packed.tobytes()), task)
