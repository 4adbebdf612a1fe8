"""Several devices and several processes take the same steps as one: on JAX, which can split the processor."""

import os
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest
from environments import ROOT, python_of

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    python, folder = python_of("jax"), tmp_path_factory.mktemp("devices")

    def train(devices, processes=1):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"}
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
        out = folder / f"{devices}_{processes}.npz"
        command = [python, HERE / "on_parallel_devices.py", out, str(devices), str(processes)]
        started = [
            subprocess.Popen([*command, str(process), address], env=environment, stderr=subprocess.PIPE, text=True)
            for process in range(processes)
        ]
        for process in started:
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
        return dict(np.load(out))

    return train


def test_four_devices_and_two_processes_take_the_same_steps_as_one(train):
    # The noise of a batch is drawn once for all devices, so that z too is the same, and another for each image.
    expected = train(devices=1)
    assert {"loss", "reconstruction_loss", "kl_loss"} < set(expected)
    for found in (train(devices=4), train(devices=2, processes=2)):
        assert found.keys() == expected.keys()
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name)
