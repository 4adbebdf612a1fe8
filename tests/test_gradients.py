"""gradients: the norms that are recorded are those of the gradients that the weights followed."""

import json

import keras
import numpy as np
import pytest

from vae_keras.gradients import GradientNorms, norm_keeping

LEARNING_RATE = 1e-3


def flat_weights(vae):
    return np.concatenate([weight.numpy().ravel() for weight in vae.trainable_weights]).astype("float64")


EAGERLY = {"run_eagerly": True}  # Compiling takes longer than a few steps.


def fit(vae, images, callbacks):
    return vae.fit(images, epochs=2, batch_size=8, shuffle=False, callbacks=callbacks, verbose=0).history


@pytest.fixture
def steps_by_hand(make_vae, images):
    """The gradients of plain SGD, shape (epochs, batches, weights): each is a step over the learning rate."""
    vae, weights = make_vae(optimizer=keras.optimizers.SGD(LEARNING_RATE), compile_arguments=EAGERLY), []

    def look(*_, **__):
        weights.append(flat_weights(vae))

    fit(vae, images, [keras.callbacks.LambdaCallback(on_train_begin=look, on_train_batch_end=look)])
    return (np.diff(weights, axis=0) / LEARNING_RATE).reshape(2, 3, -1)


def test_the_norms_of_an_epoch_are_the_mean_and_the_maximum_over_its_steps(make_vae, images, steps_by_hand):
    norms = np.linalg.norm(steps_by_hand, axis=2)
    assert np.ptp(norms[0]) > 0.1 * norms[0].mean()
    history = fit(make_vae(optimizer=norm_keeping(keras.optimizers.SGD)(LEARNING_RATE)), images, [GradientNorms()])
    np.testing.assert_allclose(history["gradient_norm"], norms.mean(axis=1), rtol=1e-3)
    np.testing.assert_allclose(history["largest_gradient_norm"], norms.max(axis=1), rtol=1e-3)


@pytest.mark.parametrize("clipping", [{"global_clipnorm": 0.5}, {"clipvalue": 0.01}], ids=str)
def test_the_norms_are_those_before_clipping_and_the_weights_follow_the_clipped(
    make_vae, images, steps_by_hand, clipping
):
    first = steps_by_hand[0, 0]
    vae = make_vae(optimizer=norm_keeping(keras.optimizers.SGD)(LEARNING_RATE, **clipping), compile_arguments=EAGERLY)
    before = flat_weights(vae)
    history = vae.fit(images[:8], batch_size=8, shuffle=False, callbacks=[GradientNorms()], verbose=0).history
    assert history["gradient_norm"] == pytest.approx([np.linalg.norm(first)], rel=1e-3)
    by_norm = first * 0.5 / np.linalg.norm(first)
    expected = by_norm if "global_clipnorm" in clipping else np.clip(first, -0.01, 0.01)
    np.testing.assert_allclose((flat_weights(vae) - before) / LEARNING_RATE, expected, atol=2e-4)


def test_measuring_changes_no_weight(make_vae, images):
    plain, watched = (
        make_vae(optimizer=keras.optimizers.Adam(), compile_arguments=EAGERLY),
        make_vae(optimizer=norm_keeping(keras.optimizers.Adam)(), compile_arguments=EAGERLY),
    )
    fit(plain, images, [])
    fit(watched, images, [GradientNorms()])
    # PyTorch has its own Adam, which computes the same in another order, and not for classes that are made from it.
    tolerance = 1e-6 if keras.backend.backend() == "torch" else 0
    for weight, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_allclose(weight, other, rtol=0, atol=tolerance)


def test_a_gradient_that_is_not_finite_is_not_hidden_by_those_after_it(make_vae, images):
    vae = make_vae(optimizer=norm_keeping(keras.optimizers.SGD)(LEARNING_RATE))
    vae.optimizer.build(vae.trainable_variables)
    zeros = [np.zeros(weight.shape, "float32") for weight in vae.trainable_variables]
    callback = GradientNorms()
    callback.set_model(vae)
    callback.on_train_begin()
    for bad in (np.inf, 1.0):
        vae.optimizer.apply([np.full_like(zeros[0], bad), *zeros[1:]], vae.trainable_variables)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert not np.isfinite(logs["largest_gradient_norm"])
    vae.optimizer.apply(zeros, vae.trainable_variables)
    callback.on_epoch_end(1, logs)
    assert json.dumps(logs) == '{"gradient_norm": 0.0, "largest_gradient_norm": 0.0}'


def test_a_plain_optimizer_is_refused(make_vae, images):
    with pytest.raises(ValueError, match=r"plain SGD.*norm_keeping\(keras.optimizers.SGD\)"):
        fit(make_vae(), images, [GradientNorms()])


def test_the_norms_are_variables_of_the_optimizer_and_saved_with_it(make_vae, images, tmp_path):
    vae, other = (
        make_vae(optimizer=norm_keeping(keras.optimizers.SGD)(LEARNING_RATE), compile_arguments=EAGERLY)
        for _ in range(2)
    )
    fit(vae, images, [])
    names = ["sum_of_norms", "norms", "largest_norm"]
    by_name = {variable.name: float(variable) for variable in vae.optimizer.variables if variable.name in names}
    assert sorted(by_name) == sorted(names)
    assert by_name["norms"] == 2 * 3
    assert by_name["sum_of_norms"] > by_name["largest_norm"] > by_name["sum_of_norms"] / 6
    vae.save(tmp_path / "vae.keras")
    loaded = keras.models.load_model(
        tmp_path / "vae.keras", custom_objects={"NormKeeping": norm_keeping(keras.optimizers.SGD)}
    )
    for name in names:
        assert float(getattr(loaded.optimizer, name)) == by_name[name]
        assert float(getattr(other.optimizer, name)) == 0


@pytest.mark.parametrize("optimizer", [None, "sgd", dict, keras.optimizers.SGD()])
def test_what_is_no_class_of_optimizers_is_refused(optimizer):
    with pytest.raises(ValueError, match=r"optimizer is .*Expected a class of optimizers"):
        norm_keeping(optimizer)
