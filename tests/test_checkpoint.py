"""checkpoint: a state is whole or not there."""

import concurrent.futures
import contextlib
import pathlib

import keras
import numpy as np
import pytest

from vae_keras.studies.checkpoint import Checkpoint


class Killed(BaseException):
    pass


def small_model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    return model


def test_a_state_that_is_valid_is_never_written_again(tmp_path):
    """A kill in the middle of it would leave the valid one with half of the weights."""
    model = small_model()
    with contextlib.closing(Checkpoint(model, tmp_path)) as state:
        state.save()
        (tmp_path / "000000.weights.h5").write_bytes(b"as it was")
        state.save()
    assert (tmp_path / "000000.weights.h5").read_bytes() == b"as it was"


def test_a_kill_between_the_files_of_a_state_leaves_the_one_before(tmp_path, monkeypatch):
    model = small_model()
    with contextlib.closing(Checkpoint(model, tmp_path)) as state:
        state.epoch = 1
        state.save()
        state.epoch = 2
        monkeypatch.setattr(model, "save_weights", lambda path: path.write_bytes(b"half") and _raise(Killed))
        with pytest.raises(Killed):
            state.save()
    with contextlib.closing(Checkpoint(model, tmp_path)) as state:
        assert state.epoch == 1


def _raise(error):
    raise error


def test_of_two_states_that_a_kill_left_the_later_one_counts(tmp_path, monkeypatch):
    model = small_model()
    with contextlib.closing(Checkpoint(model, tmp_path)) as state, monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "unlink", lambda path: _raise(Killed))
        for epoch in (1, 2):
            state.epoch = epoch
            model.set_weights([np.full_like(weights, epoch) for weights in model.get_weights()])
            with contextlib.suppress(Killed):
                state.save()
    assert [path.stem for path in sorted(tmp_path.glob("*.json"))] == ["000001", "000002"]
    with contextlib.closing(Checkpoint(model, tmp_path)) as state:
        assert (state.epoch, state.resumed) == (2, [2])
        assert all((weights == 2).all() for weights in model.get_weights())
        # The next one drops both.
        state.epoch = 3
        state.save()
    assert {path.name for path in tmp_path.iterdir()} == {"000003.json", "000003.weights.h5", "lock"}


def test_two_trainings_of_one_run_take_turns(tmp_path):
    backup = tmp_path / "run"
    model = small_model()
    first = Checkpoint(model, backup)
    first.history = {"loss": [1.0], "seconds": [1.0]}
    with concurrent.futures.ThreadPoolExecutor() as executor:
        second = executor.submit(Checkpoint, model, backup)
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        first.result(dict)
        first.close()
        second.result(timeout=60).close()


def test_without_a_folder_nothing_is_locked_and_nothing_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with contextlib.closing(Checkpoint(small_model(), None, seconds_between=0.0)) as state:
        state.on_epoch_begin(0)
        state.on_epoch_end(0, {"loss": 1.0})
        state.on_train_end()
        result = state.result(lambda: {"loss": 2.0})
    assert (result["status"], result["history"]["loss"], result["held_out"]) == ("done", [1.0], {"loss": 2.0})
    assert not list(tmp_path.iterdir())
