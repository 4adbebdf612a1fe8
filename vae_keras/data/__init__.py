"""Images in: float32 arrays in [0, 1] of shape (n, height, width, channels), labels and class names."""

from vae_keras.data.idx import read_idx
from vae_keras.data.images import (
    Images,
    check_images,
    check_labels,
    check_source,
    check_whole,
    hold_out,
    images_of,
)
from vae_keras.data.labels import PartlyLabelled, draw_labelled
from vae_keras.data.lines import draw_lines
from vae_keras.data.pixels import DynamicBinarisation, add_noise, binarise, to_images
from vae_keras.data.sets import load

__all__ = [
    "DynamicBinarisation",
    "Images",
    "PartlyLabelled",
    "add_noise",
    "binarise",
    "check_images",
    "check_labels",
    "check_source",
    "check_whole",
    "draw_labelled",
    "draw_lines",
    "hold_out",
    "images_of",
    "load",
    "read_idx",
    "to_images",
]
