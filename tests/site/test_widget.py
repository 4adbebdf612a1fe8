"""The explorer as a widget in a real JupyterLab: it decodes in the browser, and the kernel stays idle."""

import os
import secrets
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import nbformat
import numpy as np
import pytest
from explorer_pages import ROOT, without

CELL = """
from vae_keras import VAE, data, networks
from vae_keras.explorer import Explorer

images = data.load("mnist_5k")
encoder = networks.dense_encoder(images.shape, hidden=(16,), seed=0)
vae = VAE(encoder, networks.dense_decoder(images.shape, hidden=(16,), seed=0))
Explorer(vae, images, count=50)
"""
# What JupyterLab itself asks for and does not find.
OF_JUPYTERLAB = ["404", "403", "/api/", "favicon", "serviceworker", "service-worker", "ResizeObserver"]


def prefix(module):
    """The environment in which a module is installed."""
    return Path(module.__file__).parents[4]


@pytest.fixture
def lab(tmp_path):
    """JupyterLab on a free port, with a notebook of one cell; the address."""
    try:
        import anywidget
        import jupyterlab
    except ImportError as error:
        without(f"{error.name} is not installed: make test-site")
    jupyter = prefix(jupyterlab) / "bin" / "jupyter"
    if not jupyter.exists():
        without(f"JupyterLab has no {jupyter}")
    cell = nbformat.v4.new_code_cell(CELL.strip())
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (tmp_path / "work").mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata=kernel), tmp_path / "work" / "widget.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_PATH": str(prefix(anywidget) / "share" / "jupyter"),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(anywidget.__file__).parents[1])]),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    options = [
        *("--no-browser", "--allow-root", f"--ServerApp.root_dir={tmp_path / 'work'}", f"--ServerApp.port={port}"),
        *(f"--IdentityProvider.token={token}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen([jupyter, "lab", *options], env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api/status?token={token}", timeout=5).read()
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "log").read_text()
                    time.sleep(0.5)
            yield f"{address}/lab/tree/widget.ipynb?token={token}"
        finally:
            server.terminate()
            server.wait(30)


def test_the_widget_answers_the_pointer_while_the_kernel_is_idle(new_page, lab):
    page = new_page(expected_errors=OF_JUPYTERLAB)
    page.set_default_timeout(180_000)
    to_kernel = []

    def on_socket(socket):
        if "/channels" in socket.url:
            socket.on("framesent", lambda frame: to_kernel.append(frame))

    page.on("websocket", on_socket)
    page.goto(lab)
    page.locator(".jp-Notebook .cm-content").first.click()
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".jp-OutputArea [data-ready]")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    plane = page.locator(".plane")
    plane.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    box = plane.bounding_box()
    asked, seen = len(to_kernel), []
    assert asked > 0
    for x, y in ((0.3, 0.3), (0.7, 0.4), (0.5, 0.7)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
        seen.append(np.array(page.eval_on_selector("[data-picture=decoded]", "canvas => [...canvas.pixels]")))
    assert np.abs(seen[0] - seen[1]).max() > 1e-4 and np.abs(seen[1] - seen[2]).max() > 1e-4
    assert page.get_attribute(".jp-Notebook-ExecutionIndicator", "data-status") == "idle"
    assert len(to_kernel) == asked
    page.get_by_role("button", name="A held-out digit").click()
    page.wait_for_selector("[data-facts] dd")
    # Before the server ends, of which the page would complain.
    page.close()
