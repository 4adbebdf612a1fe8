"""Many runs, one record each: a study that may be killed at any moment and goes on where it was.

A run is a plain dict of settings. Its record is one line of JSON, appended when the run has ended: the settings, what
the training returned, the versions and the machine. What is recorded is not run again.
"""

import concurrent.futures
import contextlib
import functools
import hashlib
import importlib
import importlib.metadata
import json
import multiprocessing
import os
import platform
import threading
from collections.abc import Callable, Iterator
from numbers import Integral
from pathlib import Path

import keras
import numpy
from tqdm import tqdm

from vae_keras.studies.records import key, locked, read_file


def run_study(
    runs: list[dict] | Callable[[list[dict]], list[dict]],
    train: Callable[[dict], dict],
    out: str | Path,
    executor: concurrent.futures.Executor | None = None,
    progress: bool = True,
    on_record: Callable[[dict], None] = lambda run: None,
) -> list[dict]:
    """Do every run that has no record yet, append a record for each as it ends, and return all records.

    A run that raises, or returns what JSON cannot hold, leaves no record; the others go on.

    Args:
        runs: A list of plain dicts, or a function from the records so far to such a list, for a study whose later runs
            depend on earlier ones; it is asked again until it names no new run.
        train: Does a run, and returns a dict, which goes into the record beside the run itself.
        out: The file of records.
        executor: Does the runs: `processes`, `dask_cluster`, or, left out, this process, one after the other.
        progress: Whether to show a bar.
        on_record: Called with a run when its record is safe.

    Returns:
        All records, in the order in which the runs ended.

    Raises:
        RuntimeError: At the end, where runs failed, from the first error.
        ValueError: Where `out` holds a line that is no record, and for runs that JSON cannot hold.
        BlockingIOError: Where another process writes to `out`.
    """
    out = Path(out)
    list_runs = runs if callable(runs) else lambda records: runs
    failures = []
    with locked(out) as file:
        records = read_file(out)
        while not failures:
            wanted = {key(run): run for run in list_runs(records)}
            recorded = {key(record["run"]) for record in records}
            pending = [run for name, run in wanted.items() if name not in recorded]
            if not pending:
                break
            done = len(wanted) - len(pending)
            with tqdm(total=len(wanted), initial=done, desc=out.stem, unit="run", disable=not progress) as bar:
                for run, result in _results(pending, functools.partial(_record, train), executor):
                    try:
                        line = json.dumps(result(), allow_nan=False)
                    except Exception as error:
                        failures.append((run, error))
                        continue
                    file.write(f"{line}\n".encode())
                    file.flush()
                    os.fsync(file.fileno())
                    on_record(run)
                    records.append(json.loads(line))
                    bar.update()
    if failures:
        run, error = failures[0]
        raise RuntimeError(
            f"{len(failures)} runs failed, and will be tried again next time. The first, {run}:"
        ) from error
    return records


def provenance() -> dict:
    """Say with what and where a run is done.

    Returns:
        `versions` of Keras, its backend, NumPy, Python and this package, and `machine`: system, processor, cores.
    """
    backend = importlib.import_module(keras.backend.backend())
    versions = {module.__name__: module.__version__ for module in (keras, backend, numpy)}
    versions |= {"python": platform.python_version(), "vae_keras": importlib.metadata.version("vae-keras")}
    return {
        "versions": versions,
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def processes(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    """Make an executor of processes here, which share the cores evenly and end with this process.

    Args:
        workers: How many.

    Returns:
        The executor.

    Raises:
        ValueError: For workers that are no whole number above 0.
    """
    if not isinstance(workers, Integral) or workers < 1:
        raise ValueError(f"workers is {workers!r}. Expected a whole number of processes, 1 or more.")
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(threads,))


def _start_worker(threads: int) -> None:
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        # Keras traces anew for every network; its warning would tear the progress bar.
        tensorflow.get_logger().setLevel("ERROR")
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    elif keras.backend.backend() == "torch":
        importlib.import_module("torch").set_num_threads(threads)

    # A parent that is killed cannot stop its workers, and they would wait for it for ever.
    threading.Thread(target=_end_with, args=(multiprocessing.parent_process(),), daemon=True).start()


def _end_with(parent) -> None:
    parent.join()
    os._exit(1)


def _record(train, run) -> dict:
    # Where the run is done: the versions and the machine are those of the worker.
    return {"run": run, **train(run), **provenance()}


def _results(runs, record, executor) -> Iterator[tuple[dict, Callable[[], dict]]]:
    # Each run with a function that returns its record, or raises what the run raised.
    if executor is None:
        for run in runs:
            yield run, functools.partial(record, run)
        return
    futures = {executor.submit(record, run): run for run in runs}
    try:
        for future in concurrent.futures.as_completed(futures):
            yield futures[future], future.result
    finally:
        for future in futures:
            future.cancel()


# Keras has one random state a process, which two runs on the threads of a worker would share.
_turn = threading.Lock()


def do_run(train: Callable[..., dict], run: dict, folders: dict[str, str], backups: Path) -> dict:
    """Do one run of a study of the book; runs in one process take turns.

    Args:
        train: A recipe, such as `recipes.train_vae`.
        run: Its settings.
        folders: Where the data set of a name lies.
        backups: The folder in which every run keeps its state, in a folder of its own.

    Returns:
        What the recipe returns.
    """
    with _turn:
        return train(**run, folders=folders, backup=backup_of(backups, run))


def backup_of(backups: Path, run: dict) -> Path:
    """Name the folder in which a run keeps its state.

    Args:
        backups: That of all runs.
        run: The settings.

    Returns:
        The same folder for the same settings.
    """
    return backups / hashlib.sha256(key(run).encode()).hexdigest()[:16]


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[concurrent.futures.Executor]:
    """Connect to a Dask scheduler. Needs the extra `dask`.

    A run whose worker dies is given to another. Start the workers with one thread: runs in one process take turns.

    Args:
        address: That of the scheduler, such as tcp://host:8786.

    Yields:
        An executor that runs on the workers of the cluster.

    Raises:
        ImportError: Where Dask is not installed.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ImportError("Dask is not installed. Install it with pip install 'vae-keras[dask]'.") from error
    with Client(address) as client:
        yield client.get_executor(pure=False)
