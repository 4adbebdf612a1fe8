"""Records: one line of JSON for each run of a study, appended when the run has ended."""

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# What every record begins with: it tells half a record from a file of something else.
START = b'{"run": '


def key(run: dict) -> str:
    """Name a run by its settings, whatever their order: the same settings, the same run.

    Args:
        run: Settings, as JSON can hold them.

    Returns:
        The name.

    Raises:
        ValueError: For what is no dict, and for what JSON does not have: NaN, infinity, and the types of NumPy.
    """
    try:
        if not isinstance(run, dict):
            raise TypeError("no dict")
        return json.dumps(run, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The run is {run!r} ({error}). Expected a dict of settings as JSON can hold them: finite numbers, "
            "strings, lists, True, False and None; tolist() turns what NumPy gives into them."
        ) from error


def read(study: str, folder: str | Path | None = None) -> list[dict]:
    """Read the records of a study of the book.

    Args:
        study: Its name, such as "sgd": the records are in `results/sgd.jsonl`.
        folder: Where to look. By default the folder `results` that lies here or in a folder above.

    Returns:
        A dict for each run, in the order in which the runs ended: its settings are `record["run"]`.

    Raises:
        FileNotFoundError: Where there are no records.
        ValueError: For a line that is no record.
    """
    here = Path.cwd()
    folders = [Path(folder)] if folder else [above / "results" for above in (here, *here.parents)]
    for path in (each / f"{study}.jsonl" for each in folders):
        if path.exists():
            return read_file(path)
    raise FileNotFoundError(
        f"There are no records of the study {study!r} in {folder or 'results/, here or in a folder above'}. Make them "
        f"with make study STUDY={study}, or say where they lie with folder=..."
    )


def read_file(path: Path) -> list[dict]:
    """Read a file of records.

    Args:
        path: The file, which may be missing. The beginning of a record at the very end was cut off by a kill, and does
            not count.

    Returns:
        A dict for each run, in the order in which the runs ended.

    Raises:
        ValueError: For any other line that is no record.
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


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """Open a file of records to append to it, for this process alone.

    Args:
        path: The file; made where it is missing. Half a record at its end is cut off.

    Yields:
        The open file.

    Raises:
        BlockingIOError: Where another process writes to it.
        ValueError: Where it holds a line that is no record; nothing is changed then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BlockingIOError(f"Another study writes to {path}. Wait for it, or choose another file.") from error
        # Before anything is cut: a file of something else is refused.
        read_file(path)
        content = path.read_bytes()
        if not content.endswith(b"\n"):
            # The half line of a kill: the next record would be joined to it.
            whole = content.rfind(b"\n") + 1
            file.truncate(whole) if _cut_off(content[whole:]) else file.write(b"\n")
        yield file


def _cut_off(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        # The beginning of a record; or nothing at all, what follows the end of the last line.
        return line[: len(START)] == START[: len(line)]
    return False
