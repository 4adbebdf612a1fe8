"""Run the notebooks, in place on the bundled digits or, with papermill's parameters, on other data or seeds.

In place, the notebooks keep what they print and draw, and each figure that a cell's tag names (`figure=NAME`) is
written to figures/NAME.png, or NAME.gif where it moves. With --data, copies go into a folder of their own, figures
beside them, and claims.json with the seconds of each notebook and the values of its claims; what suits 60,000 images,
fewer epochs and larger batches, stands in the metadata of each notebook, `full_data`. With --seeds 8, every notebook
runs under eight other seeds, nothing is kept, what does not hold is named, and of each claim the lowest and the highest
value is printed. Two run at once, because one alone does not keep two cores busy; --workers 1 runs them one by one.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import itertools
import json
import os
import re
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd
import papermill

ROOT = Path(__file__).resolve().parent.parent
# Without its kernel a widget shows nothing: its HTML stands in its place.
WIDGET = "application/vnd.jupyter.widget-view+json"
CLAIM = re.compile(r"^(?:Does not hold here\. )?(.+): (\S+), must be (?:above|below) .+\.$", re.MULTILINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="mnist, fashion_mnist or a folder of IDX files or pictures")
    parser.add_argument("--out", type=Path, help="folder for the copies that --data makes")
    parser.add_argument("--seeds", type=int, metavar="N", help="check the claims under N other seeds")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="run N at once (default: 2)")
    parser.add_argument("notebooks", nargs="*", help="names of notebooks, such as 01_autoencoder; default: all")
    arguments = parser.parse_args()
    if (arguments.data is None) != (arguments.out is None):
        parser.error("--data and --out belong together")
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    unknown = set(arguments.notebooks) - {path.stem for path in paths}
    if unknown:
        parser.error(
            f"no notebook is named {', '.join(sorted(unknown))}; there are: {', '.join(p.stem for p in paths)}"
        )
    paths = [path for path in paths if not arguments.notebooks or path.stem in arguments.notebooks]
    start = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor(arguments.workers) as pool:
        if arguments.seeds:
            tasks = list(itertools.product(paths, range(1, arguments.seeds + 1)))
            found = list(pool.map(claims_under, *zip(*tasks, strict=True)))
            broken = [f"{path.stem}, seed {seed}" for (path, seed), values in zip(tasks, found) if values is None]
            for path in paths:
                print_ranges(path.stem, [values for (of, _), values in zip(tasks, found) if of == path and values])
            done = f"{len(paths)} notebooks under {arguments.seeds} seeds"
            if broken:
                sys.exit(f"{len(broken)} did not hold: {'; '.join(broken)}")
        else:
            figures = 0
            for path, found in zip(paths, pool.map(partial(run, data=arguments.data, out=arguments.out), paths)):
                figures += found.pop("figures")
                if arguments.out:
                    keep(arguments.out / "claims.json", path.stem, found)
            done = f"{len(paths)} notebooks and {figures} figures"
    print(f"{done}, in {(time.perf_counter() - start) / 60:.1f} minutes.")


def run(path: Path, data: str | None, out: Path | None) -> dict:
    """Run a notebook, keep it and its figures, and return the number of these, the seconds, and the claims' values."""
    parameters = {}
    target, figures = path, ROOT / "figures"
    if data is not None:
        folder = Path(data)
        data = str(folder.resolve()) if folder.is_dir() else data
        parameters = {"DATA": data, **nbformat.read(path, as_version=4).metadata.get("full_data", {})}
        target, figures = out / path.name, out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    notebook = executed(path, parameters)
    clean(notebook)
    nbformat.write(notebook, target)
    seconds = round(time.perf_counter() - start)
    return {"figures": len(save_figures(notebook, figures)), "seconds": seconds, "claims": claims(notebook)}


def keep(summary: Path, name: str, found: dict) -> None:
    """Put what a notebook found into a file that holds what all of them found."""
    summaries = json.loads(summary.read_text()) if summary.exists() else {}
    summary.write_text(json.dumps({**summaries, name: found}, indent=1, sort_keys=True) + "\n")


def claims_under(path: Path, seed: int) -> dict[str, float] | None:
    """Run a notebook under another seed, and return the values of its claims, or None where one does not hold."""
    parameters = {"SEEDS": [3 * seed, 3 * seed + 1, 3 * seed + 2]} if has_seeds(path) else {"SEED": seed}
    try:
        return claims(executed(path, parameters))
    except papermill.PapermillExecutionError as error:
        print(f"{path.stem}, seed {seed}: {error.evalue}", flush=True)
        return None


def print_ranges(name: str, values: list[dict[str, float]]) -> None:
    """Print the lowest and the highest value of each claim of a notebook."""
    table = pd.DataFrame(values)
    for sentence in table:
        print(f"{name}: {sentence}: {table[sentence].min():.3g} to {table[sentence].max():.3g}")


def has_seeds(path: Path) -> bool:
    """Say whether a notebook takes several seeds in place of one."""
    return any(parameter == "SEEDS" for parameter in papermill.inspect_notebook(path))


def executed(path: Path, parameters: dict) -> nbformat.NotebookNode:
    """Execute a notebook in a folder of its own, so that one that fails leaves that in place as it was."""
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as folder, quiet_kernels():
            copy = Path(folder) / path.name
            papermill.execute_notebook(
                path, copy, parameters=parameters, cwd=path.parent, kernel_name="python3", progress_bar=False
            )
            return nbformat.read(copy, as_version=4)
    finally:
        print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)


@contextlib.contextmanager
def quiet_kernels():
    """Drop what kernels write to this process's stderr: TensorFlow reports there what hardware it did not find."""
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Drop what papermill noted, which differs from run to run, the state of widgets, and what went to stderr."""
    for key in ("papermill", "widgets"):
        notebook.metadata.pop(key, None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)


def claims(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """Read the values of all claims that a notebook printed, whether they held or not."""
    outputs = (output for cell in notebook.cells for output in cell.get("outputs", []))
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    return {sentence: float(value) for sentence, value in CLAIM.findall(printed)}


def save_figures(notebook: nbformat.NotebookNode, folder: Path) -> list[str]:
    """Write the picture of every cell tagged `figure=NAME` to NAME.png or NAME.gif, and return the names."""
    names = []
    for cell in notebook.cells:
        tagged = [tag.removeprefix("figure=") for tag in cell.metadata.get("tags", []) if tag.startswith("figure=")]
        for name in tagged:
            pictures = [
                (kind, output.data[f"image/{kind}"])
                for output in cell.outputs
                for kind in ("png", "gif")
                if f"image/{kind}" in output.get("data", {})
            ]
            if len(pictures) != 1:
                raise SystemExit(f"The cell tagged figure={name} shows {len(pictures)} pictures. Expected one.")
            ((kind, picture),) = pictures
            (folder / f"{name}.{kind}").write_bytes(base64.b64decode(picture))
            names.append(name)
    return names


if __name__ == "__main__":
    main()
