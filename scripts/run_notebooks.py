"""Run the notebooks in order, in place on the bundled digits or, with papermill's parameters, on other data.

In place, the notebooks keep what they print and draw, and each figure that a cell's tag names (`figure=NAME`) is
written to figures/NAME.png. With --data, copies go into a folder of their own, figures beside them.
"""

import argparse
import base64
import contextlib
import os
import tempfile
import time
from pathlib import Path

import nbformat
import papermill

ROOT = Path(__file__).resolve().parent.parent
# What suits 60,000 images: fewer epochs, larger batches.
FULL_PARAMETERS = {
    "01_autoencoder": {"EPOCHS": 10, "BATCH_SIZE": 128},
    "02_variational_autoencoder": {"EPOCHS": 12, "BATCH_SIZE": 128, "SWEEP_EPOCHS": 3},
    "03_gelu": {"EPOCHS": {"dense": 2, "convolutional": 1}, "BATCH_SIZE": 128},
    "04_likelihood": {"EPOCHS": 5, "BATCH_SIZE": 128},
    "05_dense_vae": {"EPOCHS": 3, "BATCH_SIZE": 128},
    "06_pca_and_denoising": {"LINEAR_EPOCHS": 12, "EPOCHS": 4, "BATCH_SIZE": 128},
    "07_sgd": {"EPOCHS": 4, "BATCH_SIZE": 128},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="mnist, fashion_mnist or a folder of IDX files")
    parser.add_argument("--out", type=Path, help="folder for the copies that --data makes")
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
    for path in paths:
        if not arguments.notebooks or path.stem in arguments.notebooks:
            run(path, arguments.data, arguments.out)


def run(path: Path, data: str | None, out: Path | None) -> None:
    parameters = {}
    target, figures = path, ROOT / "figures"
    if data is not None:
        folder = Path(data)
        data = str(folder.resolve()) if folder.is_dir() else data
        parameters = {"DATA": data, **FULL_PARAMETERS.get(path.stem, {})}
        target, figures = out / path.name, out / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    cells = sum(cell.cell_type == "code" for cell in nbformat.read(path, as_version=4).cells)
    print(f"{path.stem}: {cells} cells ...", flush=True)
    start = time.perf_counter()
    # A notebook that fails on the way leaves the one in place as it was.
    with tempfile.TemporaryDirectory() as folder, quiet_kernels():
        executed = Path(folder) / path.name
        papermill.execute_notebook(
            path, executed, parameters=parameters, cwd=path.parent, kernel_name="python3", progress_bar=False
        )
        notebook = nbformat.read(executed, as_version=4)
    clean(notebook)
    nbformat.write(notebook, target)
    names = save_figures(notebook, figures)
    print(f"{path.stem}: {time.perf_counter() - start:.0f} s, {len(names)} figures in {figures.name}/", flush=True)


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
    """Drop what papermill noted, which differs from run to run, and what went to stderr."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def save_figures(notebook: nbformat.NotebookNode, folder: Path) -> list[str]:
    """Write the picture of every cell tagged `figure=NAME` to NAME.png, and return the names."""
    names = []
    for cell in notebook.cells:
        tagged = [tag.removeprefix("figure=") for tag in cell.metadata.get("tags", []) if tag.startswith("figure=")]
        for name in tagged:
            pictures = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
            if len(pictures) != 1:
                raise SystemExit(f"The cell tagged figure={name} shows {len(pictures)} pictures. Expected one.")
            (folder / f"{name}.png").write_bytes(base64.b64decode(pictures[0]))
            names.append(name)
    return names


if __name__ == "__main__":
    main()
