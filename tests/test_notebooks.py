"""The notebooks' own guards: `pytest --nbval` compares them, and fails when it should."""

import copy
import functools
import importlib
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CLAIMS = str(ROOT / "vae_keras" / "claims.py")


@functools.cache
def read(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return read(request.param)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 3


def test_notebooks_are_executed_in_order(notebook):
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def test_notebooks_hold_no_error_and_no_noise(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"


def test_notebooks_hold_no_path_of_the_machine_that_ran_them(notebook):
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|usr|Users)/", nbformat.writes(notebook))
    assert "papermill" not in notebook.metadata


def trains(notebook):
    """Say whether a notebook trains anything: one that only reads records has no parameters."""
    return any(".fit(" in cell.source for cell in code_cells(notebook))


def test_notebooks_that_train_have_one_cell_of_parameters(notebook):
    tagged = [cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", [])]
    if not trains(notebook):
        assert not tagged
        assert "full_data" not in notebook.metadata
        return
    assert len(tagged) == 1
    # What comes with the package, so that no notebook needs a download.
    assert re.search(r'^DATA = "(mnist_5k|photo_patches|scenes|sprites)"', tagged[0].source, re.MULTILINE)


def test_what_changes_for_full_data_are_parameters(notebook):
    if not trains(notebook):
        return
    (parameters,) = (cell for cell in code_cells(notebook) if "parameters" in cell.metadata.get("tags", []))
    named = set(re.findall(r"^(\w+) = ", parameters.source, re.MULTILINE))
    assert notebook.metadata["full_data"].keys() <= named
    assert {"EPOCHS", "BATCH_SIZE"} <= notebook.metadata["full_data"].keys()


def test_notebooks_make_claims_that_are_compared(notebook):
    claims = [cell for cell in code_cells(notebook) if re.search(r"^\s*claim\(", cell.source, re.MULTILINE)]
    assert sum(len(re.findall(r"^\s*claim\(", cell.source, re.MULTILINE)) for cell in claims) >= 3
    for cell in claims:
        assert "nbval-ignore-output" not in cell.metadata.get("tags", [])
        assert any(output.get("name") == "stdout" for output in cell.outputs)


def test_cells_fit_on_a_screen(notebook):
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 40, cell.source[:80]


# A small notebook stands for the others, because these tests run it, and its copies, in kernels of their own. It takes
# the file of the claims without the package, which would import TensorFlow.
def small_notebook():
    cells = [
        f"import runpy\n\nclaim = runpy.run_path({CLAIMS!r})['claim']\nvalue = 0.5\nbound = 1.0",
        'claim("a number that was measured", value, below=bound)',
        "import matplotlib.pyplot as plt\n\nplt.figure().axes",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for count, cell in enumerate(notebook.cells, 1):
        cell.execution_count = count
    sentence = nbformat.v4.new_output(
        "stream", name="stdout", text="a number that was measured: 0.49, must be below 1.\n"
    )
    # Other versions of Matplotlib name other sizes, and some machines write to stderr.
    size = nbformat.v4.new_output("display_data", data={"text/plain": "<Figure size 1x1 with 0 Axes>"})
    empty = nbformat.v4.new_output("execute_result", data={"text/plain": "[]"}, execution_count=3)
    notebook.cells[1].outputs = [sentence]
    notebook.cells[2].outputs = [empty, size]
    return notebook


def stripped(notebook, keep_outputs=False):
    notebook = copy.deepcopy(notebook)
    for cell in code_cells(notebook):
        cell.execution_count = None
        cell.outputs = cell.outputs if keep_outputs else []
    return notebook


def run_nbval(notebooks, folder):
    """Run `pytest --nbval` on notebooks beside a copy of notebooks/conftest.py."""
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    for name, notebook in notebooks.items():
        nbformat.write(notebook, folder / f"{name}.ipynb")
    command = [sys.executable, "-m", "pytest", "-p", "nbval.plugin", "--nbval", "-p", "no:cacheprovider"]
    # To look for the other plugins, and to start them, takes longer than these notebooks.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command += ["-rA", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def told(result, outcome):
    """The notebooks, and their cells where they were run, of which pytest tells an outcome in the end."""
    return set(re.findall(rf"^{outcome} (\w+)\.ipynb(?:::Cell (\d))?", result.stdout, re.MULTILINE))


def test_nbval_passes_an_honest_notebook_and_fails_where_an_output_or_a_claim_is_altered(tmp_path):
    honest, altered, broken = (small_notebook() for _ in range(3))
    altered.cells.pop()
    altered.cells[1].outputs[0].text = "a number that was measured: 0.49, must be below 0.1.\n"
    broken.cells.pop()
    broken.cells[0].source = broken.cells[0].source.replace("value = 0.5", "value = 1.5")
    result = run_nbval({"honest": honest, "altered": altered, "broken": broken}, tmp_path)
    assert result.returncode == 1
    passed = {("honest", "0"), ("honest", "1"), ("honest", "2"), ("altered", "0"), ("broken", "0")}
    assert told(result, "PASSED") == passed, result.stdout
    assert told(result, "FAILED") == {("altered", "1"), ("broken", "1")}
    assert "a number that was measured: 1.5, must be below 1" in result.stdout


@pytest.mark.parametrize("keep_outputs", [False, True])
def test_nbval_fails_when_a_notebook_is_stripped(tmp_path, keep_outputs):
    result = run_nbval({"small": stripped(small_notebook(), keep_outputs)}, tmp_path)
    assert result.returncode not in (0, 5)
    assert "small.ipynb is stripped" in result.stdout


class IPyNbFile:
    """What nbval collects: the hook knows it by the name of its class."""

    def __init__(self, path):
        self.path, self.skip_compare, self.sanitize_patterns = path, (), {}


def test_the_book_itself_is_refused_when_it_is_stripped(tmp_path, notebook):
    hook = runpy.run_path(str(ROOT / "notebooks" / "conftest.py"))["pytest_collectstart"]
    path = tmp_path / "book.ipynb"
    nbformat.write(notebook, path)
    hook(IPyNbFile(path))
    for keep_outputs in (False, True):
        nbformat.write(stripped(notebook, keep_outputs), path)
        with pytest.raises(pytest.Collector.CollectError, match=r"book\.ipynb is stripped"):
            hook(IPyNbFile(path))


def test_values_of_claims_are_read_whether_they_hold_or_not():
    printed = (
        "a, in nats: 1.5, must be above 1.\nDoes not hold here. b: c: -2e-05, must be above 0 and below 3.\nother: 3\n"
    )
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=part) for part in (printed[:40], printed[40:])]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=outputs)])
    claims = runpy.run_path(str(ROOT / "scripts" / "run_notebooks.py"))["claims"]
    assert claims(notebook) == {"a, in nats": 1.5, "b: c": -2e-05}
    # Every claim that the book prints is read.
    for path in NOTEBOOKS:
        outputs = [output for cell in code_cells(read(path)) for output in cell.outputs if "text" in output]
        assert len(claims(read(path))) == len(set(re.findall(r"^.+, must be", "".join(o.text for o in outputs), re.M)))


def test_notebooks_run_on_other_data_and_under_other_seeds_and_are_left_as_they_are(tmp_path, monkeypatch, capfd):
    for name, bound in (("first", 2.0), ("second", 1.0)):
        notebook = small_notebook()
        notebook.cells = notebook.cells[:2]
        notebook.cells[0].metadata["tags"] = ["parameters"]
        notebook.cells[0].source = f'SEED = 0\nDATA = "mnist_5k"\nEPOCHS = 9\nbound = {bound}'
        loaded = f"import runpy\n\nclaim = runpy.run_path({CLAIMS!r})['claim']\n"
        notebook.cells[1].source = loaded + 'claim("epochs and seed", 0.1 * EPOCHS + 0.3 * SEED, below=bound)'
        notebook.metadata["full_data"] = {"EPOCHS": 3}
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = importlib.import_module("run_notebooks")
    monkeypatch.setattr(script, "ROOT", tmp_path)
    before = {path: path.read_text() for path in (tmp_path / "notebooks").iterdir()}
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", "--data", "mnist", "--out", str(tmp_path / "full")])
    script.main()
    found = json.loads((tmp_path / "full" / "claims.json").read_text())
    assert found.keys() == {"first", "second"}
    for value in found.values():
        assert value.keys() == {"seconds", "claims"}
        assert value["claims"] == {"epochs and seed": 0.3}
    # Under seed 1 both measure 0.9 + 0.3.
    monkeypatch.setattr(sys, "argv", ["run_notebooks.py", "--seeds", "1"])
    with pytest.raises(SystemExit, match=r"^1 did not hold: second, seed 1$"):
        script.main()
    printed = capfd.readouterr().out
    assert "second, seed 1: " in printed
    assert "first: epochs and seed: 1.2 to 1.2\n" in printed
    assert "second: epochs" not in printed
    assert {path: path.read_text() for path in (tmp_path / "notebooks").iterdir()} == before
