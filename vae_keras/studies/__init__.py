"""Studies: many trainings, a record each, and what the records say. `python -m vae_keras.studies NAME` runs one."""

from vae_keras.studies.catalogue import PUBLISHED, PUBLISHED_LINES, STUDIES, blur_arm, cures_arm, features_arm, sgd_arm
from vae_keras.studies.records import read
from vae_keras.studies.tables import (
    DATA_NAMES,
    bootstrap_interval,
    curves,
    differences_figure,
    likelihoods,
    paired_differences,
    pooled_difference,
    results,
    summary,
)

__all__ = [
    "DATA_NAMES",
    "PUBLISHED",
    "PUBLISHED_LINES",
    "STUDIES",
    "blur_arm",
    "bootstrap_interval",
    "cures_arm",
    "curves",
    "differences_figure",
    "features_arm",
    "likelihoods",
    "paired_differences",
    "pooled_difference",
    "read",
    "results",
    "sgd_arm",
    "summary",
]
