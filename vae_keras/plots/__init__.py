"""Every figure of the book: functions that take arrays and return a Matplotlib figure, all in one style."""

from vae_keras.plots.animation import training_animation
from vae_keras.plots.curves import (
    activations,
    arms,
    beta_sweep,
    curves_over,
    forest,
    gradient_norms,
    kl_term,
    latents_over_epochs,
    learning_curves,
    measures_over,
    over_epochs_and_seconds,
    rate_distortion,
    seed_differences,
    training,
)
from vae_keras.plots.images import decoded_grid, image_grid, image_rows
from vae_keras.plots.posteriors import posteriors
from vae_keras.plots.spaces import (
    class_map,
    density_map,
    ellipses,
    gaps,
    latent_scatter,
    marginals,
    numbered_points,
    sides,
)
from vae_keras.plots.style import COLOURS, GREY, MISSING, STYLE, styled

__all__ = [
    "COLOURS",
    "GREY",
    "MISSING",
    "STYLE",
    "activations",
    "arms",
    "beta_sweep",
    "class_map",
    "curves_over",
    "decoded_grid",
    "density_map",
    "ellipses",
    "forest",
    "gaps",
    "gradient_norms",
    "image_grid",
    "image_rows",
    "kl_term",
    "latent_scatter",
    "latents_over_epochs",
    "learning_curves",
    "marginals",
    "measures_over",
    "numbered_points",
    "over_epochs_and_seconds",
    "posteriors",
    "rate_distortion",
    "seed_differences",
    "sides",
    "styled",
    "training",
    "training_animation",
]
