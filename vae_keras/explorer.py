"""An autoencoder or a VAE for the browser: its weights in float16 and a JSON beside them, and a widget that shows it.

The published network is the one with the rounded weights: what explorer.js computes is what Keras computes with them.
`write` gives the files that the web site of the book shows, `read` makes a Keras model of them again, and `Explorer` is
the same page in a notebook.
"""

import base64
import json
import math
from numbers import Integral
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from vae_keras import latent, losses
from vae_keras.autoencoder import Autoencoder
from vae_keras.data import Images, check_images
from vae_keras.sampling import Sampling
from vae_keras.tied import TiedDense
from vae_keras.vae import VAE

FORMAT = 1
SCRIPT = Path(__file__).with_suffix(".js")
# Layers that change no number outside of training, or only how the numbers are arranged.
PASSIVE = (
    layers.InputLayer,
    layers.Flatten,
    layers.Reshape,
    layers.GaussianNoise,
    layers.GaussianDropout,
    layers.Dropout,
)
ACTIVATIONS = ("linear", "relu", "gelu", "elu", "silu", "tanh", "sigmoid")
REFERENCES = 20
# Gaps are measured from so many training images, each drawn so often where the encoder is random.
GAP_IMAGES, GAP_DRAWS, GAP_CELLS = 4000, 10, 128
# What stands where no widget is shown: the web site puts its explorer into it.
HTML = (
    '<div data-explorer=""><p>Run this cell, and move the pointer over the latent space: the decoder follows it.</p>'
    "</div>"
)
# A float16 reaches no further.
LARGEST = float(np.finfo("float16").max)


def write(
    model: Autoencoder,
    path: str | Path,
    images: np.ndarray | None = None,
    trained_on: np.ndarray | None = None,
    **about: Any,
) -> Path:
    """Write a model for the browser: NAME.json, NAME.bin, NAME.encoder.bin and NAME.reference.json.

    NAME.bin holds the decoder and NAME.encoder.bin the encoder, float16 numbers, little endian. The JSON names their
    layers. NAME.reference.json holds 20 pairs of z and pixels, as Keras decodes them with the rounded weights.

    Args:
        model: An `Autoencoder` or a `VAE` of dense layers, convolutions and transposed convolutions in a chain.
        path: Where to write NAME.json; the other files go beside it.
        images: Those that the page shows as points, (n, height, width, channels); None for no points.
        trained_on: Training images, of which the first 4,000 say where a plane has gaps; None leaves gaps out.
        **about: What else the JSON says, as JSON can hold it, such as `seed`, `epoch` and `held_out`.

    Returns:
        The path of the JSON.

    Raises:
        ValueError: For a model with layers or activations that explorer.js does not know, with weights beyond float16,
            and for images of another shape.

    Example:
        >>> vae = VAE(networks.dense_encoder((28, 28, 1)), networks.dense_decoder((28, 28, 1)))
        >>> explorer.write(vae, "models/vae.json", images=x_test, seed=0)
    """
    path = Path(path)
    # A name may hold a dot, as that of beta 0.1 does.
    path = path if path.suffix == ".json" else path.with_name(f"{path.name}.json")
    described, blobs = describe(model, images, trained_on)
    path.parent.mkdir(parents=True, exist_ok=True)
    for part, suffix in (("decoder", ".bin"), ("encoder", ".encoder.bin")):
        file = path.with_suffix(suffix)
        described[part] = {"file": file.name, **described[part]}
        file.write_bytes(blobs[part])
    path.with_suffix(".reference.json").write_text(_json(reference(model, images)))
    path.write_text(_json({"name": path.stem, **about, **described}))
    return path


def describe(
    model: Autoencoder, images: np.ndarray | None = None, trained_on: np.ndarray | None = None
) -> tuple[dict, dict[str, bytes]]:
    """Put a model into what explorer.js reads: a dict that JSON can hold, and the weights of both networks.

    Args:
        model: As for `write`.
        images: As for `write`.
        trained_on: As for `write`.

    Returns:
        The dict, and the bytes of "decoder" and "encoder", in float16.

    Raises:
        ValueError: As `write` does.
    """
    if not isinstance(model, Autoencoder):
        raise ValueError(f"model is of type {type(model).__name__}. Expected a vae_keras.Autoencoder or a VAE.")
    if model.classes is not None:
        raise ValueError(f"A {type(model).__name__} takes labels, which explorer.js does not know. Expected a VAE.")
    height, width, channels = model.decoder.output_shape[1:]
    decoder, encoder = _Blob(), _Blob()
    described = {
        "format": FORMAT,
        "kind": "vae" if isinstance(model, VAE) else "autoencoder",
        "latent_dim": model.decoder.input_shape[-1],
        # To six digits: beta is a float32, in which 0.1 is 0.10000000149.
        "beta": float(f"{model.beta:.6g}") if isinstance(model, VAE) else None,
        "image": {"height": height, "width": width, "channels": channels},
        # Only of this loss does explorer.js know the nats.
        "reconstruction_loss": "bernoulli" if model.reconstruction_loss is losses.bernoulli else None,
    }
    outputs = dict(zip(model.encoder_outputs[:2], model.encoder.outputs))
    decoder_layers, last = _chain(model.decoder, decoder, heads=())
    encoder_layers, trunk = _chain(model.encoder, encoder, heads=outputs.values())
    if last is not model.decoder.outputs[0]:
        raise ValueError(f"The decoder ends in {model.decoder.outputs[0].name!r}, which is not its last layer.")
    heads = {
        name if name != "z" else "z_mean": _head(model.encoder, output, trunk, encoder)
        for name, output in outputs.items()
    }
    described["decoder"] = {"bytes": len(decoder), "layers": decoder_layers}
    described["encoder"] = {"bytes": len(encoder), "layers": encoder_layers, **heads}
    described["codes"] = [] if images is None else _codes(model, images).round(3).tolist()
    if trained_on is not None and described["latent_dim"] == 2:
        described["gaps"] = _gaps(model, trained_on[:GAP_IMAGES])
    return described, {"decoder": decoder.content(), "encoder": encoder.content()}


def rounded(model: Autoencoder) -> Autoencoder:
    """Copy a model, with its weights rounded to float16: the network that `write` publishes.

    Args:
        model: Stays as it is.

    Returns:
        A model of the same class that is not compiled.

    Raises:
        ValueError: For weights that are not finite or beyond float16.
    """
    copy = type(model).from_config(model.get_config())
    for old, new in ((model.encoder, copy.encoder), (model.decoder, copy.decoder)):
        for weight, target in zip(old.trainable_weights, new.trainable_weights, strict=True):
            target.assign(_half(np.asarray(weight), weight.path).astype("float32"))
    return copy


def reference(model: Autoencoder, images: np.ndarray | None = None) -> dict:
    """Decode a few latents with the rounded weights: what explorer.js has to give too.

    Args:
        model: As for `write`.
        images: Their codes say where the latents are drawn; None draws from the prior.

    Returns:
        "z", 20 lists of latents, and "pixels", 20 lists of height * width * channels numbers, to six decimals.
    """
    decoder = rounded(model).decoder
    z = np.random.default_rng(0).standard_normal((REFERENCES, decoder.input_shape[-1]))
    if images is not None:
        codes = _codes(model, images)
        z = codes.mean(axis=0) + codes.std(axis=0) * z
    z = z.round(3).astype("float32")
    pixels = decoder.predict_on_batch(z).reshape(len(z), -1)
    return {"z": z.astype("float64").round(3).tolist(), "pixels": pixels.astype("float64").round(6).tolist()}


def read(path: str | Path) -> Autoencoder:
    """Make a Keras model of the files that `write` wrote.

    Args:
        path: That of the JSON.

    Returns:
        A `VAE` or an `Autoencoder`, with the rounded weights, not compiled.

    Raises:
        ValueError: For a JSON of another format, and for weights that are fewer or more than it says.
    """
    path = Path(path)
    described = json.loads(path.read_text())
    if described.get("format") != FORMAT:
        raise ValueError(
            f"{path} has the format {described.get('format')!r}. Expected {FORMAT}: write it again with "
            "vae_keras.explorer.write."
        )
    shape = tuple(described["image"][side] for side in ("height", "width", "channels"))
    blobs = {}
    for part in ("decoder", "encoder"):
        content = (path.parent / described[part]["file"]).read_bytes()
        if len(content) != described[part]["bytes"]:
            raise ValueError(
                f"{described[part]['file']} has {len(content)} bytes. Expected {described[part]['bytes']}, as {path} "
                "says: the two do not belong together, or one was cut short."
            )
        blobs[part] = np.frombuffer(content, "<f2").astype("float32")
    z = keras.Input((described["latent_dim"],), name="z")
    pixels = layers.Reshape(shape)(_rebuilt(z, described["decoder"]["layers"], blobs["decoder"]))
    image = keras.Input(shape, name="image")
    x = _flat(_rebuilt(image, described["encoder"]["layers"], blobs["encoder"]))
    heads = [
        _rebuilt(x, [described["encoder"][name]], blobs["encoder"])
        for name in ("z_mean", "z_log_var")
        if name in described["encoder"]
    ]
    decoder = keras.Model(z, pixels)
    if described["kind"] == "autoencoder":
        return Autoencoder(keras.Model(image, heads[0]), decoder)
    return VAE(keras.Model(image, [*heads, Sampling()(*heads)]), decoder, described["beta"])


class Explorer:
    """A latent space that answers the pointer, as a widget in a notebook: it decodes in the browser, not in the kernel.

    It shows what the page of the web site shows, for one model. Where no widget can be shown, on the web site itself
    for instance, the HTML stands in its place, and the site puts its own explorer there.

    Args:
        model: As for `write`.
        images: The held-out images are the points, and the training images say where the gaps are.
        count: So many held-out images are shown, the first ones.

    Raises:
        ImportError: Without anywidget, which the extra `explorer` installs.
        ValueError: As `write` does, and for images that are no `data.Images` in arrays.

    Example:
        >>> Explorer(vae, data.load("mnist_5k"))
    """

    def __init__(self, model: Autoencoder, images: Images, count: int = 500):
        try:
            import anywidget
            import traitlets
        except ImportError as error:
            raise ImportError("Explorer needs anywidget: pip install 'vae-keras[explorer]'.") from error
        if not isinstance(images, Images):
            raise ValueError(f"images are of type {type(images).__name__}. Expected data.Images, as data.load gives.")
        if not isinstance(count, Integral) or count < 1:
            raise ValueError(f"count is {count!r}. Expected how many images to show, 1 or more.")

        class Widget(anywidget.AnyWidget):
            _esm = SCRIPT.read_text()
            _model = traitlets.Dict().tag(sync=True)
            _decoder = traitlets.Bytes().tag(sync=True)
            _encoder = traitlets.Bytes().tag(sync=True)
            _images = traitlets.Dict().tag(sync=True)
            _pixels = traitlets.Bytes().tag(sync=True)

        shown = images.x_test[:count]
        described, blobs = describe(model, shown, images.x_train)
        self.widget = Widget(
            _model={"name": "model", **described},
            _decoder=blobs["decoder"],
            _encoder=blobs["encoder"],
            _images={
                **described["image"],
                "count": len(shown),
                "labels": images.y_test[:count].tolist(),
                "class_names": images.class_names,
            },
            _pixels=pack_images(shown),
        )
        kind = "VAE" if described["kind"] == "vae" else "autoencoder"
        self.text = f"Explorer of {'a' if kind == 'VAE' else 'an'} {kind}: {described['latent_dim']} latents, "
        self.text += f"{len(shown)} images"

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **arguments) -> dict:
        shown = self.widget._repr_mimebundle_(**arguments)
        bundle = dict(shown[0] if isinstance(shown, tuple) else shown or {})
        return {**bundle, "text/plain": self.text, "text/html": HTML}


def pack_images(images: np.ndarray) -> bytes:
    """Round images to the sixteen greys that the page shows, one byte for each value.

    Args:
        images: (n, height, width, channels), in [0, 1].

    Returns:
        n * height * width * channels bytes, from 0 to 255.

    Raises:
        ValueError: For what are no images.
    """
    check_images(images)
    return (np.rint(images * 15) * 17).astype("uint8").tobytes()


class _Blob:
    """Weights one after the other, in float16; `add` says at which number they begin."""

    def __init__(self):
        self.parts, self.size = [], 0

    def add(self, weights: Any, name: str) -> int:
        start, half = self.size, _half(np.asarray(weights), name)
        self.parts.append(half.astype("<f2").tobytes())
        self.size += half.size
        return start

    def content(self) -> bytes:
        return b"".join(self.parts)

    def __len__(self):
        return 2 * self.size


def _half(weights, name) -> np.ndarray:
    if not np.isfinite(weights).all() or np.abs(weights).max(initial=0) > LARGEST:
        raise ValueError(f"The weights {name!r} are not all finite and within {LARGEST:.0f}, the largest of float16.")
    return weights.astype("float16")


def _chain(network: keras.Model, blob: _Blob, heads: Any) -> tuple[list[dict], Any]:
    # Describe the layers up to the heads, and say with which tensor they end.
    described, x = [], network.inputs[0]
    for layer in network.layers:
        if isinstance(layer, Sampling) or any(layer.output is head for head in heads):
            continue
        if not isinstance(layer, layers.InputLayer) and layer.input is not x:
            raise ValueError(f"Layer {layer.name!r} does not follow the one before it. Expected a chain of layers.")
        activation = _activation(layer)
        if activation is None and not isinstance(layer, PASSIVE):
            described.append(_layer(layer, blob))
        elif activation is not None:
            # It works on each number alone, so what is cropped away between the two makes no difference.
            weighted = [each for each in described if each["type"] != "crop"]
            if not weighted or weighted[-1]["activation"] != "linear":
                raise ValueError(f"Layer {layer.name!r} is an activation that follows no layer with weights.")
            weighted[-1] |= activation
        x = layer.output
    return described, x


def _head(encoder, output, trunk, blob) -> dict:
    layer = next(layer for layer in encoder.layers if layer.output is output)
    if layer.input is not trunk:
        raise ValueError(f"Layer {layer.name!r} does not follow the last hidden layer. Expected a chain of layers.")
    return _layer(layer, blob)


def _activation(layer: keras.layers.Layer) -> dict | None:
    if isinstance(layer, layers.LeakyReLU):
        return {"activation": "leaky_relu", "negative_slope": float(layer.negative_slope)}
    return _named(layer.activation, layer.name) if isinstance(layer, layers.Activation) else None


def _named(function, name) -> dict:
    if function is keras.activations.leaky_relu:
        return {"activation": "leaky_relu", "negative_slope": 0.2}
    for known in ACTIVATIONS:
        if function is getattr(keras.activations, known):
            return {"activation": known}
    raise ValueError(
        f"Layer {name!r} has the activation {getattr(function, '__name__', function)!r}, which explorer.js does not "
        f"know. Expected one of {', '.join((*ACTIVATIONS, 'leaky_relu'))}, or a LeakyReLU layer."
    )


def _layer(layer: keras.layers.Layer, blob: _Blob) -> dict:
    if isinstance(layer, layers.Cropping2D):
        _, height, width, channels = layer.input.shape
        (top, bottom), (left, right) = layer.cropping
        sides = {"top": top, "bottom": bottom, "left": left, "right": right}
        return {"type": "crop", "height": height, "width": width, "channels": channels, **sides}
    if isinstance(layer, (layers.Dense, TiedDense)):
        kernel = np.asarray(layer.kernel)
        size = {"type": "dense", "inputs": kernel.shape[0], "units": kernel.shape[1]}
    elif type(layer) in (layers.Conv2D, layers.Conv2DTranspose):
        kernel = np.asarray(layer.kernel)
        size = _convolution(layer, kernel.shape)
    else:
        raise ValueError(
            f"Layer {layer.name!r} is a {type(layer).__name__}, which explorer.js does not know. Expected the layers "
            "of networks.dense_encoder, conv_encoder and their decoders."
        )
    units = size["units"] if "units" in size else size["filters"]
    bias = np.zeros(units) if layer.bias is None else layer.bias
    offsets = {"kernel": blob.add(kernel, f"{layer.name} kernel"), "bias": blob.add(bias, f"{layer.name} bias")}
    return {**size, **offsets, **_named(getattr(layer, "activation", keras.activations.linear), layer.name)}


def _convolution(layer, kernel_shape) -> dict:
    _, height, width, channels = layer.input.shape
    plain = layer.padding == "same" and layer.dilation_rate == (1, 1) and getattr(layer, "groups", 1) == 1
    strides, square = set(layer.strides), kernel_shape[0] == kernel_shape[1]
    if not plain or not square or len(strides) > 1 or layer.data_format != "channels_last":
        raise ValueError(
            f"Layer {layer.name!r} has kernel {kernel_shape[:2]}, strides {layer.strides}, padding {layer.padding!r}. "
            "Expected a square kernel, one stride, padding 'same', no dilation, no groups and channels last."
        )
    kind = "conv2d" if type(layer) is layers.Conv2D else "conv2d_transpose"
    sizes = {"height": height, "width": width, "channels": channels}
    return {"type": kind, **sizes, "filters": layer.filters, "size": kernel_shape[0], "stride": strides.pop()}


def _codes(model: Autoencoder, images: np.ndarray) -> np.ndarray:
    return _encoded(model, images)[0]


def _encoded(model: Autoencoder, images: np.ndarray, name: str = "images") -> list[np.ndarray]:
    # z_mean and z_log_var, or z alone. Without the output that is drawn, the next draw of the model stays what it was.
    check_images(images, name=name)
    outputs = model.encoder.outputs[:2]
    encoded = keras.Model(model.encoder.inputs, outputs).predict(images, batch_size=500, verbose=0)
    return [np.asarray(each, dtype="float64") for each in (encoded if len(outputs) > 1 else [encoded])]


def _gaps(model: Autoencoder, images: np.ndarray) -> dict:
    # Gaps are places that the decoder was not trained for, so a VAE's images count where they are drawn.
    z, *z_log_var = _encoded(model, images, name="trained_on")
    for each in z_log_var:
        noise = np.random.default_rng(0).standard_normal((GAP_DRAWS, *z.shape))
        z = z + np.exp(each / 2) * noise
    region = latent.occupied_region(z)
    low, high = region.min_bound, region.max_bound
    axes = [start + (np.arange(GAP_CELLS) + 0.5) * (end - start) / GAP_CELLS for start, end in zip(low, high)]
    cells = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    inside = (cells @ region.equations[:, :2].T + region.equations[:, 2] <= 0).all(axis=1)
    empty = inside & latent.in_gap(cells, z)
    return {
        "low": [float(f"{value:.5g}") for value in low],
        "high": [float(f"{value:.5g}") for value in high],
        "size": GAP_CELLS,
        "bits": base64.b64encode(np.packbits(empty).tobytes()).decode(),
        "share": float(f"{empty.sum() / max(1, inside.sum()):.3g}"),
    }


def _flat(x) -> Any:
    return layers.Flatten()(x) if len(x.shape) > 2 else x


def _rebuilt(x, described: list[dict], blob: np.ndarray) -> Any:
    for layer in described:
        if layer["type"] == "dense":
            x = _flat(x)
            made, shape = layers.Dense(layer["units"]), (layer["inputs"], layer["units"])
        else:
            x = layers.Reshape((layer["height"], layer["width"], layer["channels"]))(x)
            if layer["type"] == "crop":
                sides = ((layer["top"], layer["bottom"]), (layer["left"], layer["right"]))
                x = layers.Cropping2D(sides)(x)
                continue
            channels, filters = layer["channels"], layer["filters"]
            transposed = layer["type"] == "conv2d_transpose"
            make = layers.Conv2DTranspose if transposed else layers.Conv2D
            made = make(filters, layer["size"], strides=layer["stride"], padding="same")
            shape = (layer["size"], layer["size"], *((filters, channels) if transposed else (channels, filters)))
        x = made(x)
        kernel = blob[layer["kernel"] : layer["kernel"] + math.prod(shape)].reshape(shape)
        made.set_weights([kernel, blob[layer["bias"] : layer["bias"] + made.bias.shape[0]]])
        if layer["activation"] == "leaky_relu":
            x = layers.LeakyReLU(negative_slope=layer["negative_slope"])(x)
        elif layer["activation"] != "linear":
            x = layers.Activation(layer["activation"])(x)
    return x


def _json(content: dict) -> str:
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"
