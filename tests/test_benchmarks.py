"""The bench: the peers' recipes are theirs, operations are counted right, and what is measured is what is kept."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from environments import ROOT
from keras import layers
from seeding import SEED, rng

from benchmarks import arithmetic, contenders, peers, worker
from vae_keras import VAE

TRAINED = ["Keras example", "VAE", "Foster 2019", "Foster 2023", "PyTorch's example, VAE", "own, convolutional"]


@pytest.fixture
def images():
    return rng().random((12, 28, 28, 1), dtype="float32")


@pytest.mark.parametrize(
    ("make", "encoder", "decoder"),
    [
        # As counted from what the authors publish.
        (peers.keras_example_networks, 69_076, 65_089),
        (peers.first_foster_networks, 105_220, 102_017),
        (peers.second_foster_networks, 100_868, 246_273),
        (peers.torch_example_networks, 330_040, 322_784),
    ],
)
def test_networks_have_as_many_weights_as_those_of_their_authors(make, encoder, decoder):
    assert [network.count_params() for network in make()] == [encoder, decoder]


def test_operations_are_counted_as_by_hand():
    # 3 x 3 kernels, one channel to two at 4 x 4 places; then 32 numbers to two, twice; and back.
    image = keras.Input((8, 8, 1))
    x = layers.Flatten()(layers.Conv2D(2, 3, strides=2, padding="same")(image))
    z_mean, z_log_var = layers.Dense(2)(x), layers.Dense(2)(x)
    encoder = keras.Model(image, [z_mean, z_log_var])
    z = keras.Input((2,))
    x = layers.Reshape((4, 4, 2))(layers.Dense(32)(z))
    decoder = keras.Model(z, layers.Conv2DTranspose(1, 3, strides=2, padding="same")(x))
    first = 2 * 9 * 1 * 2 * 16
    others = 2 * (2 * 32 * 2 + 2 * 32 + 9 * 2 * 1 * 16)
    assert arithmetic.training_operations(encoder, decoder) == 2 * first + 3 * others


def test_a_layer_of_unknown_work_is_refused():
    image = keras.Input((8, 8, 1))
    network = keras.Model(image, layers.SeparableConv1D(2, 3)(layers.Reshape((8, 8))(image)))
    network.layers[-1].kernel = network.layers[-1].pointwise_kernel
    with pytest.raises(ValueError, match="is of type SeparableConv1D"):
        arithmetic.training_operations(network, network)


def test_the_rivals_minimise_the_losses_that_their_authors_publish(images):
    encoder, decoder = peers.keras_example_networks()
    for head in encoder.layers[-3:-1]:
        head.set_weights([rng().normal(size=head.kernel.shape) * 0.1, np.full(2, 0.3)])
    z_mean, z_log_var, _ = encoder(images)
    kl_loss = np.mean(np.sum(np.square(z_mean) + np.exp(z_log_var) - 1 - z_log_var, axis=1) / 2)
    reconstruction = np.full_like(images, 0.3)
    cross_entropy = -(images * np.log(0.3) + (1 - images) * np.log(0.7))
    squares = np.square(images - reconstruction)
    for kind, expected in (
        (peers.KerasExample, cross_entropy.sum(axis=(1, 2, 3))),
        (peers.FirstFoster, 1000 * squares.mean(axis=(1, 2, 3))),
        (peers.SecondFoster, 500 * cross_entropy.mean(axis=(1, 2, 3))),
    ):
        model = kind(encoder, decoder)
        np.testing.assert_allclose(model.reconstruction_loss(images, reconstruction), expected, rtol=1e-4)
        loss, reconstruction_loss, found = model.terms(images)
        assert float(found) == pytest.approx(kl_loss, rel=1e-4)
        assert float(loss) == pytest.approx(float(reconstruction_loss) + kl_loss, rel=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_contenders_train(images, name):
    keras.utils.set_random_seed(SEED)
    contender = contenders.CONTENDERS[name]
    train, encoder, decoder = contenders.trainer(contender, images)
    before = [network.get_weights() for network in (encoder, decoder)]
    train(8)
    for network, weights in zip((encoder, decoder), before):
        moved = [np.abs(new - old).max() for new, old in zip(network.get_weights(), weights) if new.size > 1]
        assert max(moved) > 1e-4
        assert all(np.isfinite(weight).all() for weight in network.get_weights())


def test_each_group_trains_the_same_networks_with_the_same_batches():
    groups = {}
    for contender in contenders.CONTENDERS.values():
        groups.setdefault(contender.group, []).append(contender)
    for name, members in groups.items():
        if name != contenders.OWN:
            assert len({(member.networks, member.batch_size) for member in members}) == 1
            assert members[0].model is not VAE


def test_the_most_memory_is_that_of_the_run():
    with worker.Memory() as memory:
        held = np.ones(2**24)  # 128 MiB
        most = memory.most
        del held
    with worker.Memory() as after:
        pass
    assert memory.most >= most
    assert memory.most - after.most > -50


def bench(*arguments):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_bench_keeps_every_round_and_what_other_parts_have_found(tmp_path):
    out = tmp_path / "bench.json"
    out.write_text(json.dumps({"growth": {"measured": []}}))
    result = bench("speed", "--rounds", 2, "--images", 256, "--only", "dense, VAE", "--out", out)
    assert result.returncode == 0, result.stderr
    record = json.loads(out.read_text())
    assert record["growth"] == {"measured": []}
    found = record["speed"]["measured"]
    assert set(found) == {"dense, VAE", worker.MATRICES}
    dense = found["dense, VAE"]
    assert len(dense["per_second"]) == 2
    assert min(dense["per_second"]) > 0
    assert dense["memory"] > 50
    assert dense["operations"] == arithmetic.training_operations(*contenders.relu_networks())
    assert dense["parameters"] == sum(network.count_params() for network in contenders.relu_networks())
    assert "dense, VAE" in result.stdout
    assert bench("nothing").returncode == 2
