"""The steps of `fit` and `evaluate`, one file for each backend, side by side; the loss itself is the same on all.

`Steps` has `train_step` and `test_step`, from which `Autoencoder` inherits, and `Mean` tracks a term of the loss.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from vae_keras.steps.tensorflow import Mean, Steps
elif keras.backend.backend() == "jax":
    from vae_keras.steps.jax import Mean, Steps
elif keras.backend.backend() == "torch":
    from vae_keras.steps.pytorch import Mean, Steps
else:
    raise RuntimeError(
        f"Keras runs on {keras.backend.backend()}, but models train on TensorFlow, JAX and PyTorch. Set KERAS_BACKEND "
        "to tensorflow, jax or torch before keras is imported."
    )

__all__ = ["Mean", "Steps"]
