import os
import subprocess
import sys

from seeding import SEED

SCRIPT = """
import hashlib
import sys

import keras
import numpy as np

from vae_keras import VAE, networks

start = int(sys.argv[1])
shape = (8, 8, 1)
images = np.random.default_rng(start).random((40, *shape), dtype="float32")
for name, arguments in (
    ("dense", {"hidden": (16, 8)}),
    ("conv", {"filters": (4, 4), "hidden": (8,)}),
):
    for seed in (start, start + 1) if name == "dense" else (start,):
        keras.utils.set_random_seed(seed)
        encoder = getattr(networks, f"{name}_encoder")(shape, seed=seed, **arguments)
        decoder = getattr(networks, f"{name}_decoder")(shape, seed=seed, **arguments)
        vae = VAE(encoder, decoder)
        # XLA, which is the default, once: it takes long to compile.
        vae.compile(keras.optimizers.Adam(0.01), jit_compile=name == "dense" and seed == start)
        vae.fit(images, epochs=2, batch_size=8, verbose=0)
        content = b"".join(weight.tobytes() for weight in vae.get_weights())
        print(name, seed, hashlib.sha256(content).hexdigest())
"""


def test_the_same_seed_gives_the_same_weights_bit_for_bit_in_every_process():
    # On the processor: the promise is not made for a GPU, whose sums depend on the order of its threads.
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", SCRIPT, str(SEED)]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    first, second = ((*process.communicate(), process.returncode) for process in processes)
    assert first[2] == second[2] == 0, first[1] + second[1]
    assert first[0] == second[0]
    assert len({line.split()[2] for line in first[0].splitlines()}) == 3
