import io
import re
import tracemalloc

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps
from seeding import SEED, rng

from vae_keras import ConditionalVAE, data, networks
from vae_keras.data import pictures

COUNTS = {"cat": 5, "dog": 10, "owl": 5}
SMALL = {"size": (8, 8), "channels": 1}
TEST = [150, 10, 200, 70]
TRAIN = [20, 40, 130, 160, 180, 190, 120, 110, 140, 30, 170, 80, 90, 100, 60, 50]
RED, WHITE = (255, 0, 0), (255, 255, 255)


def write(path, value):
    """Write a picture of 8 x 8 pixels of one grey value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path, "PNG")


def values(x):
    """The grey values by which pictures are known."""
    return np.rint(255 * x[:, 0, 0, 0]).astype(int).tolist()


def packed(image, form, **arguments):
    file = io.BytesIO()
    image.save(file, form, **arguments)
    return file.getvalue()


def read(path, size=(8, 8), channels=3):
    """Read one picture, as it comes out of a folder of its own, in whole numbers."""
    (path.parent / "twin.png").write_bytes(packed(Image.new("L", (8, 8)), "PNG"))
    images = data.load(path.parent, size=size, channels=channels, test_share=0.5)
    x = images.x_train if images.x_train.any() else images.x_test
    return np.rint(255 * x[0]).astype(int)


@pytest.fixture
def folder(tmp_path):
    """Twenty pictures of three classes, each of a grey value of its own, 10 to 200."""
    value = 0
    for name, count in COUNTS.items():
        for number in range(count):
            value += 10
            write(tmp_path / "animals" / name / f"{number}.png", value)
    return tmp_path / "animals"


def test_every_picture_is_in_one_set_with_the_class_of_its_folder(folder):
    images = data.load(str(folder), **SMALL)
    assert isinstance(images, data.Images)
    assert images.class_names == ("cat", "dog", "owl")
    assert images.shape == (8, 8, 1)
    for x in (images.x_train, images.x_test):
        assert x.dtype == np.float32
        assert np.ptp(x, axis=(1, 2, 3)).max() == 0
    assert sorted(values(images.x_train) + values(images.x_test)) == list(range(10, 210, 10))
    for x, y in ((images.x_train, images.y_train), (images.x_test, images.y_test)):
        assert [int(value > 50) + int(value > 150) for value in values(x)] == y.tolist()


def test_every_class_gives_its_share_to_the_test_set(folder):
    def counts(**share):
        images = data.load(folder, **SMALL, **share)
        return np.bincount(images.y_train).tolist(), np.bincount(images.y_test).tolist()

    assert counts() == ([4, 8, 4], [1, 2, 1])
    assert counts(test_share=0.6) == ([2, 4, 2], [3, 6, 3])
    assert counts(test_share=0.01) == ([4, 9, 4], [1, 1, 1])
    assert counts(test_share=0.99) == ([1, 1, 1], [4, 9, 4])


def test_pictures_without_folders_are_of_one_class(tmp_path):
    for number in range(6):
        write(tmp_path / "faces" / f"{number}.png", 10 + number)
    images = data.load(tmp_path / "faces", **SMALL)
    assert images.class_names == ("faces",)
    assert images.y_train.tolist() == [0] * 5
    assert images.y_test.tolist() == [0]


def test_pictures_become_64_x_64_in_colour_if_nothing_else_is_said(folder):
    assert data.load(folder).x_test.shape == (4, 64, 64, 3)


def test_the_split_is_that_of_the_names_on_every_machine(folder, tmp_path):
    images = data.load(folder, **SMALL)
    # Other machines, other orders of files: these stay. They are spread over the classes too.
    assert values(images.x_test) == TEST
    assert values(images.x_train) == TRAIN
    for path in sorted(folder.rglob("*.png"), reverse=True):
        target = tmp_path / "copy" / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert values(data.load(tmp_path / "copy", **SMALL).x_test) == TEST
    splits = {tuple(sorted(values(data.load(folder, **SMALL, split_seed=seed).x_test))) for seed in range(5)}
    assert len(splits) > 2


def test_the_split_does_not_depend_on_the_order_of_the_file_system(folder, monkeypatch):
    walk = pictures.os.walk

    def backwards(*arguments, **options):
        for place, folders, files in walk(*arguments, **options):
            folders.sort(reverse=True)
            yield place, folders, sorted(files, reverse=True)
            folders.sort(reverse=True)

    before = data.load(folder, **SMALL)
    monkeypatch.setattr(pictures.os, "walk", backwards)
    after = data.load(folder, **SMALL)
    assert after.class_names == before.class_names
    assert values(after.x_train) == values(before.x_train)
    assert values(after.x_test) == values(before.x_test)


def test_one_more_picture_moves_hardly_any_other(tmp_path):
    names = [f"{number}.png" for number in range(201)]
    before, after = (
        set(pictures._split(names[:count], np.zeros(count, int), 0.2, SEED)[1].tolist()) for count in (200, 201)
    )
    assert len(before) == len(after) == 40
    assert len(before - after) <= 1


def test_a_picture_is_cropped_in_the_middle_and_not_squeezed(tmp_path):
    stripes = np.zeros((8, 24, 3), "uint8")
    stripes[:, :8, 0] = stripes[:, 8:16, 1] = stripes[:, 16:, 2] = 255
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(read(tmp_path / "wide.png"), np.broadcast_to([0, 255, 0], (8, 8, 3)))
    Image.fromarray(stripes.transpose(1, 0, 2)).save(tmp_path / "wide.png")
    np.testing.assert_array_equal(read(tmp_path / "wide.png"), np.broadcast_to([0, 255, 0], (8, 8, 3)))
    # Height comes first: the whole of a picture of 8 x 24, twice as large.
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    large = read(tmp_path / "wide.png", size=(16, 48))
    assert large.shape == (16, 48, 3)
    assert large[8, [2, 24, 45]].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]


def test_what_is_too_fine_for_the_size_becomes_its_mean(tmp_path):
    board = (np.indices((32, 32)).sum(axis=0) % 2 * 255).astype("uint8")
    Image.fromarray(board).save(tmp_path / "board.png")
    small = read(tmp_path / "board.png", channels=1)
    assert np.abs(small[1:-1, 1:-1] - 127.5).max() < 3


def test_a_large_jpeg_is_as_sharp_as_if_it_were_decoded_whole(tmp_path):
    coarse = Image.fromarray(rng().integers(0, 256, (15, 20, 3), dtype="uint8"))
    coarse.resize((240, 180), Image.Resampling.BICUBIC).save(tmp_path / "photo.jpg", quality=95)
    with Image.open(tmp_path / "photo.jpg") as photo:
        whole = np.asarray(ImageOps.fit(photo, (20, 30), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(read(tmp_path / "photo.jpg", size=(30, 20)) - whole).mean() < 3


def plain(mode, colour):
    return Image.new(mode, (8, 8), colour)


def deep(value):
    return Image.fromarray(np.full((8, 8), value, "uint16"))


PALETTE = plain("RGB", RED).convert("P")
KINDS = {
    "PNG": (packed(plain("RGB", RED), "PNG"), RED),
    "JPEG": (packed(plain("RGB", RED), "JPEG"), RED),
    "WebP": (packed(plain("RGB", RED), "WEBP"), RED),
    "grey": (packed(plain("L", 90), "JPEG"), (90, 90, 90)),
    "one bit": (packed(plain("1", 1), "PNG"), WHITE),
    "CMYK": (packed(plain("CMYK", (0, 255, 255, 0)), "JPEG"), RED),
    "transparent": (packed(plain("RGBA", (255, 0, 0, 0)), "PNG"), WHITE),
    "half transparent": (packed(plain("RGBA", (255, 0, 0, 128)), "PNG"), (255, 127, 127)),
    "half transparent WebP": (packed(plain("RGBA", (255, 0, 0, 128)), "WEBP", lossless=True), (255, 127, 127)),
    "half transparent grey": (packed(plain("LA", (0, 128)), "PNG"), (127, 127, 127)),
    "palette": (packed(PALETTE, "PNG"), RED),
    "transparent palette": (packed(PALETTE, "PNG", transparency=PALETTE.getpixel((0, 0))), WHITE),
    "transparent colour": (packed(plain("RGB", RED), "PNG", transparency=RED), WHITE),
    "16 bits, white": (packed(deep(65535), "PNG"), WHITE),
    "16 bits": (packed(deep(257 * 100 + 140), "PNG"), (101, 101, 101)),
    "two pictures of a camera": (
        packed(plain("RGB", RED), "MPO", save_all=True, append_images=[plain("RGB", (0, 0, 255))]),
        RED,
    ),
}


@pytest.mark.parametrize(("content", "colour"), KINDS.values(), ids=KINDS)
def test_every_kind_of_picture_has_its_colour(tmp_path, content, colour):
    (tmp_path / "one.png").write_bytes(content)
    assert np.abs(read(tmp_path / "one.png") - colour).max() <= 1
    grey = np.dot(colour, (0.299, 0.587, 0.114))
    assert np.abs(read(tmp_path / "one.png", channels=1) - grey).max() <= 2


def test_a_photo_is_turned_as_its_exif_says(tmp_path):
    halves = np.zeros((8, 8, 3), "uint8")
    halves[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # Taken with the camera turned: what is stored on the left belongs on top.
    Image.fromarray(halves).save(tmp_path / "turned.png", exif=exif)
    turned = read(tmp_path / "turned.png")
    assert (turned[:4] == 255).all()
    assert (turned[4:] == 0).all()


@pytest.fixture
def broken(folder):
    """What cannot be used, and why: by the name of the file."""
    image = Image.fromarray(rng().integers(0, 256, (32, 32, 3), dtype="uint8"))
    other = ImageOps.invert(image)
    contents = {
        "cat/empty.png": (b"", "it is empty"),
        "cat/text.JPG": (b"not a picture", "it is no PNG, JPEG or WebP"),
        "dog/cut.png": (packed(image, "PNG")[:2000], "truncated"),
        "dog/cut.jpeg": (packed(image, "JPEG")[:900], "truncated"),
        "dog/cut.webp": (packed(image, "WEBP")[:400], ""),
        "owl/moving.webp": (packed(image, "WEBP", save_all=True, append_images=[other]), "it is animated, 2 frames"),
        "owl/moving.png": (packed(image, "PNG", save_all=True, append_images=[other]), "it is animated, 2 frames"),
        "owl/other.gif": (packed(image, "GIF"), "it is no PNG, JPEG or WebP"),
    }
    for name, (content, _) in contents.items():
        (folder / name).write_bytes(content)
    (folder / "owl/gone.png").symlink_to(folder / "nowhere.png")
    return {**{name: reason for name, (_, reason) in contents.items()}, "owl/gone.png": "No such file"}


@pytest.mark.parametrize("stream", [False, True])
def test_all_pictures_that_cannot_be_used_are_named_at_once(folder, broken, stream, monkeypatch):
    monkeypatch.setattr(pictures, "PORTION", 3)
    with pytest.raises(ValueError, match=r"^9 of the 29 pictures in .* cannot be used") as caught:
        data.load(folder, **SMALL, stream=stream)
    for name, reason in broken.items():
        assert re.search(f"^  {re.escape(name)}: .*{reason}", str(caught.value), re.MULTILINE), name
    assert "skip_broken=True" in str(caught.value)
    assert "0.png" not in str(caught.value)


@pytest.mark.parametrize("stream", [False, True])
def test_broken_pictures_are_skipped_as_if_they_were_not_there(folder, broken, stream):
    with pytest.warns(UserWarning, match=r"^9 of the 29 pictures") as caught:
        skipped = data.load(folder, **SMALL, skip_broken=True, stream=stream)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert all(f"  {name}: " in str(caught[0].message) for name in broken)
    for name in broken:
        (folder / name).unlink()
    clean = data.load(folder, **SMALL, skip_broken=True, stream=stream)
    if stream:
        assert skipped.x_train.paths == clean.x_train.paths
        assert skipped.x_test.paths == clean.x_test.paths
        assert np.array_equal(skipped.x_train.labels, clean.x_train.labels)
    else:
        assert np.array_equal(skipped.x_train, clean.x_train)
        assert np.array_equal(skipped.x_test, clean.x_test)
        assert np.array_equal(skipped.y_train, clean.y_train)


def test_a_class_needs_two_pictures_that_can_be_used(folder):
    for number in range(1, 5):
        (folder / "owl" / f"{number}.png").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match="4 of the 20"),
        pytest.raises(ValueError, match=r"too few usable pictures of owl \(1\)\. Expected two or more of each class"),
    ):
        data.load(folder, **SMALL, skip_broken=True)
    for number in range(1, 5):
        (folder / "owl" / f"{number}.png").unlink()
    with pytest.raises(ValueError, match=r"owl \(1\)"):
        data.load(folder, **SMALL)


def test_what_is_hidden_and_what_is_no_picture_is_left_aside(folder):
    before = data.load(folder, **SMALL)
    for name in (".DS_Store", "labels.csv", "cat/Thumbs.db", "cat/._0.png", ".thumbnails/0.png", "cat/.old/0.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"?")
    (folder / "cat" / "up").symlink_to(folder)
    after = data.load(folder, **SMALL)
    assert after.class_names == before.class_names
    assert np.array_equal(after.x_train, before.x_train)


def test_a_folder_of_a_class_may_be_a_link(folder, tmp_path):
    (folder / "owl").rename(tmp_path / "elsewhere")
    (folder / "owl").symlink_to(tmp_path / "elsewhere")
    assert data.load(folder, **SMALL).class_names == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], FileNotFoundError, "neither IDX files nor pictures. Expected pictures"),
        (["cat/notes.txt"], FileNotFoundError, "neither IDX files nor pictures"),
        (["a.png", "b.png", "cat/0.png"], ValueError, r"pictures \(a\.png \.\.\.\) beside folders of pictures \(cat\)"),
        (["train/cat/0.png", "train/dog/0.png"], ValueError, "in folders of folders: train/cat, train/dog"),
        (["cat/0.png", "cat/1.png", "dog/notes.txt"], ValueError, "folders without a picture: dog"),
        (["Train/0.png", "Train/1.png", "test/0.png", "test/1.png"], ValueError, "look like a split"),
        (["a.png"], ValueError, r"too few usable pictures of set \(1\)"),
    ],
)
def test_a_folder_that_makes_no_set_is_refused(tmp_path, names, error, message):
    (tmp_path / "set").mkdir()
    for name in names:
        write(tmp_path / "set" / name, 0)
    with pytest.raises(error, match=message):
        data.load(tmp_path / "set", **SMALL)


def test_pictures_alone_may_have_folders_of_other_files_beside_them(tmp_path):
    for name in ("a.png", "b.png", "notes/c.txt"):
        write(tmp_path / name, 5)
    assert len(data.load(tmp_path, **SMALL).x_train) == 1


def test_a_folder_with_idx_files_stays_one(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"")
    with pytest.raises(ValueError, match="is not an IDX file"):
        data.load(folder)
    with pytest.raises(ValueError, match="size can be given for a folder of pictures only"):
        data.load(folder, size=(8, 8))
    (folder / "train-images-idx3-ubyte").rename(folder / "train-labels-idx1-ubyte.gz")
    with pytest.raises(FileNotFoundError, match="no file train-images-idx3-ubyte"):
        data.load(folder)


@pytest.mark.parametrize("name", ["mnist_5k", "fashion_mnist", "nowhere"])
def test_arguments_for_pictures_are_refused_elsewhere(name):
    with pytest.raises(ValueError, match=f"size, seed can be given for a folder of pictures only, and '{name}' is"):
        data.load(name, size=(8, 8), seed=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 64}, "size is 64. Expected"),
        ({"size": (64, 64, 3)}, r"size is \(64, 64, 3\)"),
        ({"size": (0, 8)}, "The height in size is 0"),
        ({"size": (8, 1.5)}, r"The width in size is 1\.5"),
        ({"channels": 4}, "channels is 4. Expected 3 for colour or 1 for grey"),
        ({"test_share": 0}, "test_share is 0. Expected"),
        ({"test_share": 1.0}, r"test_share is 1\.0"),
        ({"test_share": "0.2"}, "test_share is '0.2'"),
        ({"split_seed": -1}, "split_seed is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"class_names": ["a", "b"]}, r"class_names are \['a', 'b'\], but .* has the classes cat, dog, owl"),
        ({"class_names": list("abcd")}, "Expected a sequence of 3 names in this order"),
        ({"class_names": "abc"}, "class_names are 'abc'"),
    ],
    ids=str,
)
def test_arguments_that_make_no_set_are_refused(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(folder, **arguments)


@pytest.mark.parametrize("stream", [False, True])
def test_other_class_names_can_be_given(folder, stream):
    names = np.array(["a", "b", "c"])
    assert data.load(folder, **SMALL, class_names=names, stream=stream).class_names == ("a", "b", "c")


def test_what_takes_too_much_memory_is_streamed(folder, monkeypatch):
    assert pictures.STREAM_ABOVE == 2**30
    # Twenty pictures of 8 x 8 in float32.
    monkeypatch.setattr(pictures, "STREAM_ABOVE", 20 * 4 * 8 * 8)
    assert isinstance(data.load(folder, **SMALL), data.Images)
    assert isinstance(data.load(folder, size=(8, 8)), data.StreamedImages)
    assert isinstance(data.load(folder, size=(8, 8), stream=False), data.Images)
    assert isinstance(data.load(folder, **SMALL, stream=True), data.StreamedImages)


def test_streamed_pictures_are_those_that_memory_would_hold(folder):
    held = data.load(folder, **SMALL)
    images = data.load(folder, **SMALL, stream=True, batch_size=3)
    assert images.shape == images.x_train.shape == images.x_test.shape == (8, 8, 1)
    assert images.class_names == held.class_names
    for _ in range(2):
        x, y = (np.concatenate(part) for part in zip(*images.x_test))
        assert x.dtype == np.float32
        assert np.array_equal(x, held.x_test)
        assert np.array_equal(y, held.y_test)
        images.x_test.on_epoch_end()
    assert np.array_equal(images.y_test, held.y_test)
    by_value = dict(zip(values(held.x_train), held.y_train))
    assert [len(x) for x, _ in images.x_train] == [3, 3, 3, 3, 3, 1]
    for _ in range(2):
        x, y = (np.concatenate(part) for part in zip(*images.x_train))
        assert dict(zip(values(x), y)) == by_value
        images.x_train.on_epoch_end()
    assert np.array_equal(images.x_train.labels, held.y_train)


def test_every_epoch_has_a_new_order_which_is_that_of_its_seed(folder):
    def order(batches):
        return values(np.concatenate([x for x, _ in batches]))

    same, again, other = (
        data.load(folder, **SMALL, stream=True, batch_size=3, seed=SEED + seed).x_train for seed in (0, 0, 1)
    )
    first = order(same)
    assert len(set(first)) == 16
    assert first == order(again) != order(other)
    assert first != values(data.load(folder, **SMALL).x_train)
    same.on_epoch_end()
    second = order(same)
    assert second != first
    assert sorted(second) == sorted(first)
    again.begin_epoch(1)
    assert order(again) == second
    again.begin_epoch(0)
    assert order(again) == first
    with pytest.raises(ValueError, match="epoch is -1"):
        again.begin_epoch(-1)


def test_the_seed_of_the_batches_leaves_the_split_alone(folder):
    one, other = (data.load(folder, **SMALL, stream=True, seed=seed) for seed in (0, 1))
    assert one.x_test.paths == other.x_test.paths
    assert data.load(folder, **SMALL, stream=True, split_seed=1).x_test.paths != one.x_test.paths


def test_streamed_pictures_have_no_labels_in_an_order_that_is_not_theirs(folder):
    images = data.load(folder, **SMALL, stream=True)
    with pytest.raises(AttributeError, match="Take the labels from its batches"):
        _ = images.y_train


@pytest.mark.parametrize("index", [-1, 4, slice(0, 30)])
def test_what_is_no_batch_is_refused(folder, index):
    batches = data.load(folder, **SMALL, stream=True, batch_size=4).x_train
    assert len(batches) == 4
    with pytest.raises(IndexError, match=r"Expected that of a batch, 0 to 3.*stream=False"):
        batches[index]


def test_a_picture_that_breaks_later_is_named(folder):
    images = data.load(folder, **SMALL, stream=True)
    images.x_test.paths[0].write_bytes(b"")
    with pytest.raises(ValueError, match=f"{re.escape(str(images.x_test.paths[0]))} cannot be read: it is empty"):
        images.x_test[0]


def test_batches_of_files_can_be_made_by_hand(folder):
    paths = [str(folder / "dog" / "3.png"), folder / "cat" / "0.png"]
    x, y = data.PictureBatches(paths, [1, 0], **SMALL, shuffle=False)[0]
    assert values(x) == [90, 10]
    assert y.tolist() == [1, 0]
    for labels, message in (([1], r"2 paths, and labels of shape \(1,\)"), ([0.5, 1], "type float64")):
        with pytest.raises(ValueError, match=message):
            data.PictureBatches(paths, labels)
    with pytest.raises(ValueError, match="There are 0 paths"):
        data.PictureBatches([], [])
    for wrong in ({"size": 8}, {"channels": 2}, {"batch_size": 0}, {"seed": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            data.PictureBatches(paths, [0, 1], **wrong)


def test_streaming_holds_a_batch_and_not_the_set(tmp_path):
    content = packed(Image.new("RGB", (8, 8), RED), "PNG")
    for number in range(200):
        (tmp_path / f"{number}.png").write_bytes(content)
    picture = 64 * 64 * 3
    peaks = {}
    for stream in (True, False):
        tracemalloc.start()
        images = data.load(tmp_path, stream=stream, batch_size=8)
        seen = sum(len(x) for x, _ in images.x_train) if stream else len(images.x_train)
        peaks[stream] = tracemalloc.get_traced_memory()[1] / picture
        tracemalloc.stop()
        assert seen == 160
    # In bytes of a picture of uint8: 8 of them are 8, and in float32 32.
    assert peaks[False] > 800
    assert peaks[True] < 160


def test_models_train_on_streamed_pictures_as_on_arrays(folder, make_vae):
    images = data.load(folder, **SMALL, stream=True, batch_size=8, seed=SEED)
    held = data.load(folder, **SMALL)
    vae = make_vae(compile_arguments={"run_eagerly": True})
    history = vae.fit(images.x_train, epochs=2, batch_size=8, validation_data=images.x_test, verbose=0).history
    assert len(history["val_loss"]) == 2
    assert np.isfinite(history["loss"]).all()
    np.testing.assert_allclose(
        vae.encoder.predict(images.x_test, verbose=0)[0], vae.encoder.predict(held.x_test, verbose=0)[0], rtol=1e-5
    )
    assert vae.evaluate(images.x_test, verbose=0, return_dict=True)["reconstruction_loss"] == pytest.approx(
        vae.evaluate(held.x_test, verbose=0, return_dict=True)["reconstruction_loss"], rel=0.1
    )


def test_a_conditional_vae_gets_the_labels_with_the_pictures(folder):
    images = data.load(folder, **SMALL, stream=True, batch_size=8, seed=SEED)
    networks_of = {"hidden": (4,), "classes": 3, "seed": SEED}
    model = ConditionalVAE(
        networks.dense_encoder(images.shape, **networks_of), networks.dense_decoder(images.shape, **networks_of)
    )
    model.compile(keras.optimizers.Adam(), run_eagerly=True, jit_compile=False)
    model.fit(images.x_train, epochs=1, validation_data=images.x_test, verbose=0)


def test_threads_that_read_ahead_change_no_epoch(folder, make_vae):
    seen = []

    class Watched(data.PictureBatches):
        def __getitem__(self, index):
            batch = super().__getitem__(index)
            seen.append((self.epoch, values(batch[0])))
            return batch

    paths = sorted((folder / "dog").iterdir())
    batches = Watched(paths, np.zeros(10, int), **SMALL, batch_size=4, seed=SEED)
    batches.workers = 2
    make_vae(compile_arguments={"run_eagerly": True}).fit(batches, epochs=3, verbose=0)
    for epoch in {epoch for epoch, _ in seen[-9:]}:
        trained = [value for e, batch in seen[-9:] if e == epoch for value in batch]
        assert sorted(trained) == list(range(60, 160, 10))
