"""runner: runs are recorded once, whatever is killed and when."""

import concurrent.futures
import functools
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tensorflow

from vae_keras.studies import __main__ as command_line
from vae_keras.studies import catalogue, runner
from vae_keras.studies.records import read_file

HERE = Path(__file__).resolve().parent
RUNS = [{"seed": seed, "rate": 0.1} for seed in range(8)]


def square(run):
    return {"status": "done", "held_out": {"loss": run["seed"] ** 2}}


def noted_square(run, folder, waits_from=math.inf):
    """Square the seed, and leave a file for every start and end, which says which process it was.

    From the seed `waits_from` on a run waits for a file `go`, so that it can be killed in its middle.
    """
    (folder / f"{run['seed']}.{os.getpid()}.started").touch()
    while run["seed"] >= waits_from and not (folder / "go").exists():
        time.sleep(0.02)
    (folder / f"{run['seed']}.{os.getpid()}.ended").touch()
    return {**square(run), "threads": tensorflow.config.threading.get_intra_op_parallelism_threads()}


def noted(folder, what, seed="*"):
    """The seed and the process of every start or end that left a file."""
    return [tuple(map(int, path.name.split(".")[:2])) for path in folder.glob(f"{seed}.*.{what}")]


def wait_until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def fails_at_three(run):
    if run["seed"] == 3:
        raise ArithmeticError("three")
    return square(run)


def seeds_of(records):
    return [record["run"]["seed"] for record in records]


def run_quietly(runs, train, out, **arguments):
    return runner.run_study(runs, train, out, progress=False, **arguments)


def test_every_run_leaves_one_self_contained_line(tmp_path):
    records = run_quietly(RUNS, square, tmp_path / "new" / "records.jsonl")
    lines = (tmp_path / "new" / "records.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == records
    assert seeds_of(records) == list(range(8))
    for record in records:
        assert record["held_out"]["loss"] == record["run"]["seed"] ** 2
        assert record["run"]["rate"] == 0.1
        assert {"python", "keras", "tensorflow", "numpy", "vae_keras"} <= set(record["versions"])
        assert record["machine"]["cores"] == os.cpu_count()


def test_a_file_may_be_named_by_a_string(tmp_path):
    assert run_quietly(RUNS[:1], square, str(tmp_path / "records.jsonl")) == read_file(tmp_path / "records.jsonl")


def test_a_run_that_json_cannot_hold_is_refused_before_any_is_done(tmp_path):
    with pytest.raises(ValueError, match="The run is"):
        run_quietly([{"seed": 1}, {"seed": Path()}], functools.partial(noted_square, folder=tmp_path), tmp_path / "r")
    assert not list(tmp_path.glob("*.started"))


def test_what_is_recorded_is_not_run_again(tmp_path):
    out = tmp_path / "records.jsonl"
    run_quietly(RUNS[:3], square, out)
    train = functools.partial(noted_square, folder=tmp_path)
    # The same settings in another order are the same run, and a run that is listed twice is one.
    again = [dict(reversed(run.items())) for run in RUNS[:3]]
    records = run_quietly([*again, *RUNS[:5], RUNS[4]], train, out)
    assert sorted(path.name[0] for path in tmp_path.glob("*.started")) == ["3", "4"]
    assert seeds_of(records) == [0, 1, 2, 3, 4]
    assert read_file(out) == records


def test_other_settings_are_another_run(tmp_path):
    records = run_quietly([{"seed": 1}, {"seed": 1, "rate": 1}, {"seed": 1, "rate": 2}], square, tmp_path / "r.jsonl")
    assert len(records) == 3


def test_later_runs_may_depend_on_earlier_ones(tmp_path):
    def runs(records):
        first = [{"seed": seed} for seed in (5, 2, 4)]
        if len(records) < 3:
            return first
        best = min(records, key=lambda record: record["held_out"]["loss"])["run"]["seed"]
        return [*first, {"seed": best, "again": True}]

    records = run_quietly(runs, square, tmp_path / "records.jsonl")
    assert [record["run"] for record in records][3:] == [{"seed": 2, "again": True}]


@pytest.mark.parametrize("workers", [None, 2])
def test_a_run_that_fails_is_not_recorded_and_the_others_are(tmp_path, workers):
    out = tmp_path / "records.jsonl"
    executor = concurrent.futures.ThreadPoolExecutor(workers) if workers else None
    with pytest.raises(RuntimeError, match=r"1 runs failed.*'seed': 3") as error:
        run_quietly(RUNS, fails_at_three, out, executor=executor)
    assert isinstance(error.value.__cause__, ArithmeticError)
    assert sorted(seeds_of(read_file(out))) == [0, 1, 2, 4, 5, 6, 7]
    assert seeds_of(run_quietly(RUNS, square, out))[-1] == 3


def test_numbers_that_json_does_not_have_are_not_written(tmp_path):
    out = tmp_path / "records.jsonl"
    losses = {0: 1.0, 1: math.nan, 2: 3.0}
    with pytest.raises(RuntimeError, match=r"1 runs failed.*'seed': 1") as error:
        run_quietly(RUNS[:3], lambda run: {"held_out": {"loss": losses[run["seed"]]}}, out)
    assert "JSON" in str(error.value.__cause__)
    assert seeds_of(read_file(out)) == [0, 2]


def test_a_record_is_safe_when_it_is_told(tmp_path):
    out, told = tmp_path / "records.jsonl", []
    run_quietly(RUNS[:3], square, out, on_record=lambda run: told.append((run, seeds_of(read_file(out)))))
    assert told == [(RUNS[0], [0]), (RUNS[1], [0, 1]), (RUNS[2], [0, 1, 2])]


def noted_training(*, seed, rate=0.5, widths=(2, 3), folders=None, backup=None):
    """Keep a state, as a training would, and leave the settings in the data's folder."""
    backup.mkdir(parents=True)
    (Path(folders["tiny"]) / f"{seed}").write_text(backup.name)
    return {"status": "done", "held_out": {"loss": seed}}


def two_runs(records):
    return [{"seed": 1}, {"seed": 2, "rate": 0.1}]


def test_the_command_line_runs_a_study(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    monkeypatch.setitem(catalogue.STUDIES, "cost", catalogue.Study(two_runs, noted_training))
    monkeypatch.setattr(command_line, "processes", lambda workers: concurrent.futures.ThreadPoolExecutor(workers))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["study", "cost", "--workers", "2", "--folder", "tiny=data"])
    command_line.main()
    assert "results/cost.jsonl holds 2 records, after 0.0 minutes." in capsys.readouterr().out
    records = {record["run"]["seed"]: record for record in read_file(tmp_path / "results" / "cost.jsonl")}
    assert [records[seed]["run"] for seed in (1, 2)] == two_runs([])
    # Each run has a state of its own, which is gone when its record is safe.
    assert len({(tmp_path / "data" / f"{seed}").read_text() for seed in (1, 2)}) == 2
    assert not list((tmp_path / "results").glob("*.unfinished"))


@pytest.mark.parametrize(("options", "workers"), [([], 3), (["--workers", "1"], 1)])
def test_the_number_of_processes_is_that_of_the_study_unless_it_is_given(tmp_path, monkeypatch, options, workers):
    asked = []
    monkeypatch.setitem(catalogue.STUDIES, "cost", catalogue.Study(lambda records: [], noted_training, workers=3))
    monkeypatch.setattr(
        command_line, "processes", lambda workers: asked.append(workers) or concurrent.futures.ThreadPoolExecutor(1)
    )
    monkeypatch.setattr(sys, "argv", ["study", "cost", "--out", str(tmp_path / "r.jsonl"), *options])
    command_line.main()
    assert asked == [workers]
    assert (tmp_path / "r.jsonl").exists()


def test_studies_that_are_timed_have_the_machine_for_themselves():
    assert catalogue.Study(two_runs, noted_training).workers == 2
    assert {name for name, study in catalogue.STUDIES.items() if study.workers == 1} >= {"cost", "expected", "samples"}


def test_the_command_line_names_all_studies_and_what_they_do(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["study", "--help"])
    with pytest.raises(SystemExit, match="0"):
        command_line.main()
    shown = capsys.readouterr().out
    assert "python -m vae_keras.studies" in shown
    for name, study in catalogue.STUDIES.items():
        assert re.search(rf"^  {name} +{re.escape(study.runs.__doc__)}$", shown, re.MULTILINE)
    assert all(option in shown for option in ("--workers", "--dask", "--out", "--folder"))


@pytest.mark.parametrize("arguments", [[], ["costs"], ["cost", "--workers", "two"]])
def test_the_command_line_refuses_what_it_does_not_know(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["study", *arguments])
    with pytest.raises(SystemExit, match="2"):
        command_line.main()
    assert "usage: python -m vae_keras.studies" in capsys.readouterr().err


def test_the_command_line_refuses_a_folder_without_a_name(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["study", "cost", "--folder", "data"])
    with pytest.raises(SystemExit):
        command_line.main()
    assert "mnist=path" in capsys.readouterr().err


def test_runs_in_one_process_take_turns(tmp_path):
    busy, together = [], []

    def train(*, seed, folders, backup):
        busy.append(seed)
        time.sleep(0.05)
        together.append(len(busy))
        busy.remove(seed)
        return {}

    train = functools.partial(runner.do_run, train, folders={}, backups=tmp_path)
    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        run_quietly([{"seed": seed} for seed in range(4)], train, tmp_path / "records.jsonl", executor=executor)
    assert together == [1, 1, 1, 1]


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", None])
def test_a_number_of_processes_that_is_none_is_refused(workers):
    with pytest.raises(ValueError, match=f"workers is {workers!r}"):
        runner.processes(workers)


def test_progress_bar_counts_what_was_done_before_and_tells_the_time_left(tmp_path, capsys):
    runner.run_study(RUNS[:6], square, tmp_path / "records.jsonl", progress=False)
    runner.run_study(RUNS, lambda run: time.sleep(0.15) or square(run), tmp_path / "records.jsonl")
    shown = capsys.readouterr().err
    assert "6/8" in shown
    assert "8/8" in shown
    assert re.search(r"7/8 \[\d\d:\d\d<\d\d:\d\d", shown)


STUDY = """
import functools, sys
from pathlib import Path
sys.path.insert(0, {here!r})
from test_runner import RUNS, noted_square
from vae_keras.studies import runner

if __name__ == "__main__":
    folder, workers, waits_from = Path({folder!r}), int(sys.argv[1]), int(sys.argv[2])
    train = functools.partial(noted_square, folder=folder, waits_from=waits_from)
    executor = runner.processes(workers) if workers else None
    runner.run_study(RUNS, train, folder / "records.jsonl", executor)
"""


def alive(process):
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_study_that_is_killed_goes_on(tmp_path):
    """Killed at the second of its runs, then with two processes in the middle, and each time with half a record."""
    script, out = tmp_path / "script.py", tmp_path / "records.jsonl"
    script.write_text(STUDY.format(here=str(HERE), folder=str(tmp_path)))
    for workers, waits_from, begun in ((0, 1, [1]), (2, 4, [4, 5])):
        command = [sys.executable, script, str(workers), str(waits_from)]
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL, start_new_session=True)

        def is_in_the_middle(running=running, waits_from=waits_from, begun=begun):
            assert running.poll() is None
            return len(read_file(out)) == waits_from and all(noted(tmp_path, "started", seed) for seed in begun)

        wait_until(is_in_the_middle)
        running.send_signal(signal.SIGKILL)
        running.wait()
        with out.open("ab") as file:
            file.write(b'{"run": {"seed": 7')
    of_workers = {process for _, process in noted(tmp_path, "started")} - {running.pid}
    assert len(of_workers) == 3
    wait_until(lambda: not any(map(alive, of_workers)), seconds=20)
    before = seeds_of(read_file(out))
    assert sorted(before) == [0, 1, 2, 3]
    records = run_quietly(RUNS, functools.partial(noted_square, folder=tmp_path), out)
    assert seeds_of(records) == [*before, 4, 5, 6, 7]
    assert read_file(out) == records
    # No run that was recorded was done again.
    assert sorted(seed for seed, _ in noted(tmp_path, "ended")) == list(range(8))


def kill_a_worker(folder, out):
    """Once four runs are recorded, kill a process that is in the middle of the fifth, and let the others go on."""
    wait_until(lambda: len(read_file(out)) >= 4 and noted(folder, "started", 4))
    ((_, process),) = noted(folder, "started", 4)
    os.kill(process, signal.SIGKILL)
    (folder / "go").touch()
    return process


def test_a_worker_that_is_killed_costs_no_record_and_processes_share_the_cores(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    out = tmp_path / "records.jsonl"
    train = functools.partial(noted_square, folder=tmp_path, waits_from=4)
    with concurrent.futures.ThreadPoolExecutor() as thread, runner.processes(2) as executor:
        killed = thread.submit(kill_a_worker, tmp_path, out)
        with pytest.raises(RuntimeError, match="tried again next time"):
            run_quietly(RUNS, train, out, executor=executor)
        killed.result()
    records = read_file(out)
    assert {0, 1, 2, 3} <= set(seeds_of(records)) <= {0, 1, 2, 3, 5, 6, 7}
    assert {record["threads"] for record in records} == {3}
    assert sorted(seeds_of(run_quietly(RUNS, square, out))) == list(range(8))


def test_study_on_a_dask_cluster_survives_a_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    address = tmp_path / "scheduler.json"
    start = functools.partial(
        subprocess.Popen, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment, cwd=tmp_path
    )
    started = [start([*command, "--port", "0", "--scheduler-file", address])]
    try:
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", address, "--no-nanny"]
        started += [start([*worker, "--nthreads", "1", "--no-dashboard"]) for _ in range(2)]
        wait_until(lambda: address.exists() and address.read_text())
        scheduler = json.loads(address.read_text())["address"]
        with distributed.Client(scheduler) as client:
            client.wait_for_workers(2, timeout=120)
        out = tmp_path / "records.jsonl"
        train = functools.partial(noted_square, folder=tmp_path, waits_from=4)
        with concurrent.futures.ThreadPoolExecutor() as thread, runner.dask_cluster(scheduler) as executor:
            killed = thread.submit(kill_a_worker, tmp_path, out)
            records = run_quietly(RUNS, train, out, executor=executor)
        assert sorted(seeds_of(records)) == list(range(8))
        assert read_file(out) == records
        # The run of the worker that was killed was done again by the other.
        processes = {process for _, process in noted(tmp_path, "started")}
        assert len(processes) == 2
        assert [process for _, process in noted(tmp_path, "ended", 4)] == [*(processes - {killed.result()})]
    finally:
        for process in started:
            process.kill()
            process.wait()
