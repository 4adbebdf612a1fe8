"""Run a study of the book, or go on with it."""

import argparse
import functools
import os
import shutil
import time
from pathlib import Path

from vae_keras.studies.catalogue import STUDIES
from vae_keras.studies.runner import backup_of, dask_cluster, do_run, processes, run_study


def main() -> None:
    """Read the command line, and run a study."""
    parser = argparse.ArgumentParser(
        prog="python -m vae_keras.studies",
        description=__doc__,
        epilog="studies:\n" + "\n".join(f"  {name:24}{study.runs.__doc__}" for name, study in STUDIES.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", choices=STUDIES, metavar="study", help="its name, see below")
    parser.add_argument("--workers", type=int, help="processes on this machine (default: what suits the study)")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on the Dask cluster of this scheduler, tcp://host:8786")
    parser.add_argument("--out", type=Path, help="the records (default: results/STUDY.jsonl)")
    parser.add_argument("--folder", action="append", default=[], metavar="DATA=PATH", help="where a data set lies")
    arguments = parser.parse_args()
    if any("=" not in folder for folder in arguments.folder):
        parser.error(f"--folder takes the name of a data set and its folder, mnist=path; got {arguments.folder}")
    study = STUDIES[arguments.study]
    out = arguments.out or Path("results", f"{arguments.study}.jsonl")
    backups = out.absolute().with_suffix(".unfinished")
    folders = {name: os.path.abspath(path) for name, path in (folder.split("=", 1) for folder in arguments.folder)}
    train = functools.partial(do_run, study.train, folders=folders, backups=backups)
    workers = study.workers if arguments.workers is None else arguments.workers
    start = time.perf_counter()
    with dask_cluster(arguments.dask) if arguments.dask else processes(workers) as executor:
        records = run_study(
            study.runs,
            train,
            out,
            executor,
            on_record=lambda run: shutil.rmtree(backup_of(backups, run), ignore_errors=True),
        )
    shutil.rmtree(backups, ignore_errors=True)
    print(f"{out} holds {len(records)} records, after {(time.perf_counter() - start) / 60:.1f} minutes.")


if __name__ == "__main__":
    main()
