"""Many runs, one record each: a study that may be killed at any moment and goes on where it was.

    python -m vae_keras.study activations --workers 2

A run is a plain dict of settings. Its record is one line of JSON, appended when the run has ended: the settings, what
the training returned, the versions and the machine. What is recorded is not run again.
"""

import argparse
import concurrent.futures
import contextlib
import fcntl
import functools
import hashlib
import importlib.metadata
import inspect
import json
import multiprocessing
import os
import platform
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy
import tensorflow
from tqdm import tqdm

from vae_keras import studies
from vae_keras.studies import key


def run_study(
    runs: list[dict] | Callable[[list[dict]], list[dict]],
    train: Callable[[dict], dict],
    out: Path,
    executor: concurrent.futures.Executor | None = None,
    progress: bool = True,
    on_record: Callable[[dict], None] = lambda run: None,
) -> list[dict]:
    """Do every run that has no record in `out` yet, append a record for each as it ends, and return all records.

    `runs` is a list of plain dicts, or a function from the records so far to such a list, for a study whose later runs
    depend on earlier ones; it is asked again until it names no new run. `train(run)` returns a dict, which goes into
    the record beside the run itself. `executor` runs them: `processes`, `dask_cluster`, or, left out, this process, one
    after the other. `on_record(run)` is called when the record of a run is safe.

    A run that raises, or returns what JSON cannot hold, leaves no record; the others go on, and `RuntimeError` with the
    first error comes at the end. Raises `ValueError` where `out` holds a line that is no record, and `BlockingIOError`
    where another process writes to it.
    """
    list_runs = runs if callable(runs) else lambda records: runs
    out.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with _locked(out) as file:
        records = read_records(out)
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


def read_records(path: Path) -> list[dict]:
    """Read the records of a study, in the order in which the runs ended.

    The beginning of a record at the very end was cut off by a kill, and does not count. Raises `ValueError` for any
    other line that is not a record.
    """
    if not path.exists():
        return []
    *lines, last = path.read_bytes().split(b"\n")
    if not _cut_off(last):
        lines.append(last)
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
            records[-1]["run"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}, line {number}, is no record of a run: {line[:60]!r}. Mend or delete it."
            ) from error
    return records


def _cut_off(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        # The beginning of a record; or nothing at all, what follows the end of the last line.
        start = b'{"run": '
        return line[: len(start)] == start[: len(line)]
    return False


def provenance() -> dict:
    """Say with what and where: versions, processor, cores."""
    versions = {module.__name__: module.__version__ for module in (keras, tensorflow, numpy)}
    versions |= {"python": platform.python_version(), "vae_keras": importlib.metadata.version("vae-keras")}
    return {
        "versions": versions,
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
    }


def processes(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    """Make an executor of `workers` processes here, which share the cores evenly and end with this process.

    Raises `ValueError` for no workers.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}. Expected one process or more.")
    threads = max(1, (os.cpu_count() or 1) // workers)
    context = multiprocessing.get_context("spawn")
    return concurrent.futures.ProcessPoolExecutor(workers, context, initializer=_start_worker, initargs=(threads,))


def _start_worker(threads: int) -> None:
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    # Keras traces anew for every network; its warning would tear the progress bar.
    tensorflow.get_logger().setLevel("ERROR")
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)

    def end_with_parent():
        multiprocessing.parent_process().join()
        os._exit(1)

    # A parent that is killed cannot stop its workers, and they would wait for it for ever.
    threading.Thread(target=end_with_parent, daemon=True).start()


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


@contextlib.contextmanager
def _locked(path: Path):
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"Another study writes to {path}. Wait for it, or choose another file.") from error
        # Before anything is cut: a file of something else is refused.
        read_records(path)
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            # The half line of a kill: the next record would be joined to it.
            whole = content.rfind(b"\n") + 1
            file.truncate(whole) if _cut_off(content[whole:]) else file.write(b"\n")
        yield file


def main() -> None:
    """Read the command line, and run a study of the book."""
    parser = argparse.ArgumentParser(prog="python -m vae_keras.study", description=__doc__.split("\n\n")[0])
    parser.add_argument("study", choices=studies.STUDIES, help="the study to run, or to go on with")
    parser.add_argument("--workers", type=int, default=1, help="processes on this machine (default: 1)")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the Dask cluster of this scheduler, tcp://host:8786")
    parser.add_argument("--out", type=Path, help="the records (default: results/STUDY.jsonl)")
    parser.add_argument("--folder", action="append", default=[], metavar="DATA=PATH", help="where a data set lies")
    arguments = parser.parse_args()
    if any("=" not in folder for folder in arguments.folder):
        parser.error(f"--folder takes the name of a data set and its folder, mnist=path; got {arguments.folder}")
    runs, train = studies.STUDIES[arguments.study]
    out = arguments.out or Path("results", f"{arguments.study}.jsonl")
    backups = out.absolute().with_suffix(".unfinished")
    train = functools.partial(
        _train,
        train,
        folders={name: os.path.abspath(path) for name, path in (folder.split("=", 1) for folder in arguments.folder)},
        backups=backups,
    )
    with dask_cluster(arguments.dask) if arguments.dask else processes(arguments.workers) as executor:
        records = run_study(
            runs, train, out, executor, on_record=lambda run: shutil.rmtree(_backup(backups, run), ignore_errors=True)
        )
    shutil.rmtree(backups, ignore_errors=True)
    print(f"{out} holds {len(records)} records.")


_turn = threading.Lock()


def _train(train, run, folders, backups) -> dict:
    # Keras has one random state a process, which two runs on the threads of a worker would share.
    with _turn:
        result = train(**run, folders=folders, backup=_backup(backups, run))
    return {"defaults": defaults(train, run), **result}


def defaults(train: Callable, run: dict) -> dict:
    """Name the settings that a run leaves to `train`, and what they were."""
    left = {
        name: parameter.default
        for name, parameter in inspect.signature(train).parameters.items()
        if name not in {*run, "folders", "backup"}
    }
    return json.loads(json.dumps(left))


def _backup(backups: Path, run: dict) -> Path:
    return backups / hashlib.sha256(key(run).encode()).hexdigest()[:16]


@contextlib.contextmanager
def dask_cluster(address: str) -> Iterator[concurrent.futures.Executor]:
    """Connect to a Dask scheduler: an executor that runs on its workers. Needs the extra `dask`.

    A run whose worker dies is given to another. Start the workers with one thread: runs in one process take turns.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise ImportError("Dask is not installed. Install it with pip install 'vae-keras[dask]'.") from error
    with Client(address) as client:
        yield client.get_executor(pure=False)


if __name__ == "__main__":
    # Not the functions of __main__, which a worker could not import.
    from vae_keras import study

    study.main()
