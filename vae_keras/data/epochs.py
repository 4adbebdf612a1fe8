"""Epochs: what batches have in common that are drawn anew in every epoch, and the same from one seed."""

import keras
import numpy as np

from vae_keras.data.images import check_whole


class SeededEpochs(keras.utils.PyDataset):
    """Batches for `fit` whose epochs hang on a seed and the number of the epoch alone.

    A class of it sets `seed`, gives batches, and says in `draw_epoch` what an epoch draws.
    """

    seed: int
    epoch: int

    def draw_epoch(self, generator: np.random.Generator) -> None:
        """Draw what an epoch needs, such as the order of the images.

        Args:
            generator: That of the epoch.
        """
        raise NotImplementedError

    def begin_epoch(self, epoch: int) -> None:
        """Go to any epoch, to resume a training where it was interrupted.

        Args:
            epoch: The number of the epoch, from 0.

        Raises:
            ValueError: For an epoch that is no whole number, 0 or more.
        """
        check_whole("epoch", epoch)
        self.epoch = epoch
        self.draw_epoch(np.random.default_rng((self.seed, epoch)))

    def on_epoch_end(self) -> None:
        """Go to the next epoch, as Keras asks for."""
        self.begin_epoch(self.epoch + 1)
