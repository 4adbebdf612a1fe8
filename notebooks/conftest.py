"""How `pytest --nbval` compares the notebooks."""

import os

import nbformat
import pytest

# TensorFlow logs to stderr what it did not find on this machine; the kernels inherit this.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_collectstart(collector):
    if collector.__class__.__name__ != "IPyNbFile":
        return
    # nbval compares nothing in a cell without an execution count, so a stripped notebook would pass whatever it prints.
    cells = [cell for cell in nbformat.read(collector.path, as_version=4).cells if cell.cell_type == "code"]
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        raise pytest.Collector.CollectError(
            f"{collector.path.name} is stripped or was not run in order from a fresh kernel: its execution counts are "
            f"{counts}. Run `make notebooks`."
        )
    # What goes to stderr differs from machine to machine, and the size of a figure with the version of Matplotlib. A
    # widget is another one in every kernel; what stands in its place is compared.
    collector.skip_compare += ("stderr", "application/vnd.jupyter.widget-view+json")
    collector.sanitize_patterns[r"<Figure size [^>]*>"] = "<Figure>"
    # What a claim measured differs too; that it keeps to its bound is checked by the claim.
    collector.sanitize_patterns[r": \S+, must be "] = ": MEASURED, must be "


def pytest_collection_modifyitems(items):
    for item in items:
        # nbval gives a busy machine only 5 s to hand over what a finished cell has printed.
        if item.__class__.__name__ == "IPyNbCell":
            item.output_timeout = 60
