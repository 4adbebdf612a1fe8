"""A training that is killed goes on where it was, with what Keras brings for it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent


def train(folder, name, how):
    command = [sys.executable, HERE / "interrupted.py", folder / f"{name}.npz", folder / name.split("_")[0], how]
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parent}{os.pathsep}{HERE}"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == (-signal.SIGKILL if how == "killed" else 0), result.stderr


def test_a_killed_training_reaches_what_an_uninterrupted_one_reaches(tmp_path):
    train(tmp_path, "uninterrupted", "whole")
    train(tmp_path, "killed", "killed")
    assert not (tmp_path / "killed.npz").exists()
    assert list((tmp_path / "killed").rglob("*.h5"))
    train(tmp_path, "killed_resumed", "resumed")
    whole, resumed = (dict(np.load(tmp_path / f"{name}.npz")) for name in ("uninterrupted", "killed_resumed"))
    assert whole.keys() == resumed.keys()
    for name in whole:
        np.testing.assert_allclose(resumed[name], whole[name], rtol=1e-5, atol=1e-6, err_msg=name)
    # The backup is gone where a training has come to its end.
    assert not list((tmp_path / "killed").rglob("*.h5"))
