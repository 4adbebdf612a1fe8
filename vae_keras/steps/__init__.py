"""The steps of `fit` and `evaluate`, one file for each backend, side by side; the loss itself is the same on all.

`Steps` has `train_step` and `test_step`, from which `Autoencoder` inherits. `Mean` tracks a term of the loss, and
`replica` numbers the devices that share a batch.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from vae_keras.steps.tensorflow import Mean, Steps, replica
elif keras.backend.backend() == "jax":
    from vae_keras.steps.jax import Mean, Steps, replica
elif keras.backend.backend() == "torch":
    from vae_keras.steps.pytorch import Mean, Steps, replica
else:
    raise RuntimeError(
        f"Keras runs on {keras.backend.backend()}, but models train on TensorFlow, JAX and PyTorch. Set KERAS_BACKEND "
        "to tensorflow, jax or torch before keras is imported."
    )

__all__ = ["Mean", "Steps", "replica"]
