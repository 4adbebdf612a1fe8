"""A source of batches that the tests share, such as a reader might write."""

import keras


class Batches(keras.utils.PyDataset):
    """Batches of eight of one or more arrays."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return -(-len(self.arrays[0]) // 8)

    def __getitem__(self, index):
        batch = tuple(array[8 * index : 8 * index + 8] for array in self.arrays)
        return batch if len(batch) > 1 else batch[0]
