"""records: what is read back, after a kill too."""

import fcntl

import numpy as np
import pytest
from test_runner import RUNS, run_quietly, seeds_of, square

from vae_keras import studies
from vae_keras.studies import records


@pytest.mark.parametrize("cut", [1, 7, 20, -2])
def test_half_a_line_is_no_result(tmp_path, cut):
    out = tmp_path / "records.jsonl"
    run_quietly(RUNS[:3], square, out)
    content = out.read_bytes()
    last = content.rstrip().rfind(b"\n") + 1
    out.write_bytes(content[: last + cut] if cut > 0 else content[:cut])
    assert seeds_of(records.read_file(out)) == [0, 1]
    assert seeds_of(run_quietly(RUNS[:4], square, out)) == [0, 1, 2, 3]
    assert seeds_of(records.read_file(out)) == [0, 1, 2, 3]


def test_a_whole_record_without_the_end_of_its_line_counts(tmp_path):
    out = tmp_path / "records.jsonl"
    run_quietly(RUNS[:3], square, out)
    out.write_bytes(out.read_bytes()[:-1])
    assert seeds_of(records.read_file(out)) == [0, 1, 2]
    assert seeds_of(run_quietly(RUNS[:4], square, out)) == [0, 1, 2, 3]


def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path):
    out = tmp_path / "notes.txt"
    out.write_text("not to be lost")
    with pytest.raises(ValueError, match=r"notes\.txt, line 1"):
        run_quietly(RUNS, square, out)
    assert out.read_text() == "not to be lost"


@pytest.mark.parametrize("line", ["{", "[]", "{}", "", "7"])
def test_a_line_that_is_no_record_is_named(tmp_path, line):
    out = tmp_path / "records.jsonl"
    run_quietly(RUNS[:1], square, out)
    out.write_text(out.read_text() + line + "\n")
    with pytest.raises(ValueError, match=r"records\.jsonl, line 2"):
        run_quietly(RUNS, square, out)


def test_two_studies_do_not_write_to_one_file(tmp_path):
    out = tmp_path / "records.jsonl"
    with out.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError, match="Another study"):
            run_quietly(RUNS, square, out)


def test_the_records_of_a_study_are_found_here_and_in_folders_above(tmp_path, monkeypatch):
    below = tmp_path / "book" / "notebooks"
    below.mkdir(parents=True)
    for folder, count in ((tmp_path, 1), (tmp_path / "book", 2)):
        run_quietly(RUNS[:count], square, folder / "results" / "cost.jsonl")
    monkeypatch.chdir(below)
    # The nearest one counts.
    assert seeds_of(studies.read("cost")) == [0, 1]
    monkeypatch.chdir(tmp_path / "book")
    assert seeds_of(studies.read("cost")) == [0, 1]
    monkeypatch.chdir(tmp_path)
    assert seeds_of(studies.read("cost")) == [0]
    for folder in (tmp_path / "book" / "results", "book/results"):
        assert seeds_of(studies.read("cost", folder)) == [0, 1]


def test_records_that_are_missing_are_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"study 'cost' in results/, here or in a folder above.*STUDY=cost"):
        studies.read("cost")
    run_quietly(RUNS[:1], square, tmp_path / "results" / "cost.jsonl")
    # A folder that is given is the only one.
    with pytest.raises(FileNotFoundError, match=r"study 'cost' in .*elsewhere"):
        studies.read("cost", tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=r"study 'costs'"):
        studies.read("costs", tmp_path / "results")


def test_a_file_that_is_missing_holds_no_records(tmp_path):
    assert records.read_file(tmp_path / "records.jsonl") == []


def test_a_run_is_known_by_its_settings_in_any_order():
    assert records.key({"a": 1, "b": [2, None]}) == records.key({"b": [2, None], "a": 1}) != records.key({"a": 1})


@pytest.mark.parametrize("run", [{"a": float("nan")}, {"a": np.int64(1)}, {"a": np.zeros(2)}, "a", None, [1]], ids=str)
def test_a_run_that_json_cannot_hold_is_refused(run):
    with pytest.raises(ValueError, match=r"The run is .*Expected a dict of settings as JSON can hold them"):
        records.key(run)


def test_a_file_is_opened_for_one_study_and_freed_again(tmp_path):
    out = tmp_path / "new" / "records.jsonl"
    with records.locked(out) as file, pytest.raises(BlockingIOError, match="Another study"), records.locked(out):
        pass
    assert file.closed
    with records.locked(out) as file:
        file.write(b'{"run": {"seed": 0}}\n{"run": {"se')
    # Half a record is cut off, and what is whole stays.
    with records.locked(out) as file:
        file.write(b'{"run": {"seed": 1}}')
    with records.locked(out) as file:
        file.write(b'{"run": {"seed": 2}}\n')
    assert out.read_text().splitlines() == [f'{{"run": {{"seed": {seed}}}}}' for seed in range(3)]
    assert seeds_of(records.read_file(out)) == [0, 1, 2]


def test_a_file_with_a_line_that_is_no_record_is_not_even_cut(tmp_path):
    out = tmp_path / "records.jsonl"
    content = b'not a record\n{"run": {"se'
    out.write_bytes(content)
    with pytest.raises(ValueError, match=r"records\.jsonl, line 1"), records.locked(out):
        pass
    assert out.read_bytes() == content
