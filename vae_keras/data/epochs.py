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


class ShuffledEpochs(SeededEpochs):
    """Batches of which every epoch has each image once, in a new order.

    It has ceil(count / batch_size) batches, the last one what is left. A class of it gives the images of `rows`.

    Args:
        count: How many images there are.
        batch_size: Images in a batch.
        shuffle: Whether every epoch has a new order. Without it the order stays 0, 1, ...
        seed: The same seed draws the same epochs, whatever the order in which batches are asked for.

    Raises:
        ValueError: For a batch size that is no whole number above 0, and a seed that is none, 0 or more.
    """

    def __init__(self, count: int, batch_size: int, shuffle: bool, seed: int):
        super().__init__()
        check_whole("batch_size", batch_size, least=1)
        check_whole("seed", seed)
        self.count = count
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.begin_epoch(0)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)

    def rows(self, index: int) -> np.ndarray:
        """Give the places of the images of a batch, (batch_size,) or what is left.

        Args:
            index: The number of the batch, from 0.
        """
        return self._order[index * self.batch_size : (index + 1) * self.batch_size]

    def draw_epoch(self, generator: np.random.Generator) -> None:
        """Draw the order of an epoch."""
        self._order = generator.permutation(self.count) if self.shuffle else np.arange(self.count)
