"""records: what is read back, after a kill too."""

import fcntl

import pytest
from test_runner import RUNS, run_quietly, seeds_of, square

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
