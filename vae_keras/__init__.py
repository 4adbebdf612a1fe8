"""Autoencoders and variational autoencoders in Keras 3, small enough to be read in one sitting."""

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from vae_keras import (
    activity,
    classifier,
    codes,
    data,
    explorer,
    factors,
    judge,
    latent,
    likelihood,
    losses,
    networks,
    plots,
    shapes,
    sharpness,
)
from vae_keras.autoencoder import Autoencoder
from vae_keras.claims import claim
from vae_keras.conditional import ConditionalVAE
from vae_keras.sampling import Sampling
from vae_keras.semi_supervised import SemiSupervisedVAE
from vae_keras.vae import VAE, WarmUp
from vae_keras.vaegan import VAEGAN

__all__ = [
    "VAE",
    "VAEGAN",
    "Autoencoder",
    "ConditionalVAE",
    "Sampling",
    "SemiSupervisedVAE",
    "WarmUp",
    "activity",
    "claim",
    "classifier",
    "codes",
    "data",
    "explorer",
    "factors",
    "judge",
    "latent",
    "likelihood",
    "losses",
    "networks",
    "plots",
    "shapes",
    "sharpness",
]
