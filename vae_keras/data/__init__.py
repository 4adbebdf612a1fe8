"""Images in: float32 arrays in [0, 1] of shape (n, height, width, channels), labels and class names."""

from vae_keras.data.factors import check_factors, draw_factors
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
from vae_keras.data.pictures import PictureBatches, StreamedImages, read_pictures
from vae_keras.data.pixels import DynamicBinarisation, PixelBatches, add_noise, binarise, to_images
from vae_keras.data.scenes import SCENE_FACTORS, draw_scenes, scene_masks
from vae_keras.data.sets import load
from vae_keras.data.sprites import SPRITE_FACTORS, draw_sprites

__all__ = [
    "SCENE_FACTORS",
    "SPRITE_FACTORS",
    "DynamicBinarisation",
    "Images",
    "PartlyLabelled",
    "PictureBatches",
    "PixelBatches",
    "StreamedImages",
    "add_noise",
    "binarise",
    "check_factors",
    "check_images",
    "check_labels",
    "check_source",
    "check_whole",
    "draw_factors",
    "draw_labelled",
    "draw_lines",
    "draw_scenes",
    "draw_sprites",
    "hold_out",
    "images_of",
    "load",
    "read_idx",
    "read_pictures",
    "scene_masks",
    "to_images",
]
