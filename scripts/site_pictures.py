"""The pictures of the site: small files, each with a text that says what it shows."""

import base64
import hashlib
import io
from html import escape
from pathlib import Path

from PIL import Image, ImageSequence

MIMES = ("image/png", "image/gif", "image/jpeg")
CARD_WIDTH = 420
THIS_FILE = Path(__file__).read_bytes()


def figures(notebook) -> dict[str, tuple]:
    """The output and the bytes of each picture of a notebook, by its figure's name or its number among the pictures."""
    found = {}
    for cell in notebook.cells:
        named = [tag.removeprefix("figure=") for tag in cell.metadata.get("tags", []) if tag.startswith("figure=")]
        for output in cell.get("outputs", []):
            for mime in MIMES:
                if mime in output.get("data", {}):
                    name = named.pop(0) if named else str(len(found) + 1)
                    found[name] = output, base64.b64decode(output.data[mime])
    return found


def times(image: Image.Image) -> list[int]:
    """How long each frame of a moving picture stands, in milliseconds."""
    return [frame.info.get("duration", 0) for frame in ImageSequence.Iterator(image)]


def webp(frames: list[Image.Image], durations: list[int], **how) -> bytes:
    """Frames as WebP, moving if there is more than one."""
    moving = {}
    if frames[1:]:
        moving = {
            "save_all": True,
            "append_images": frames[1:],
            "duration": durations,
            "loop": 0,
            "minimize_size": True,
        }
    file = io.BytesIO()
    frames[0].save(file, "WEBP", method=4, **moving, **how)
    return file.getvalue()


def smallest_webp(picture: bytes) -> bytes:
    """The picture as WebP, exact or nearly so, whichever is smaller."""
    image = Image.open(io.BytesIO(picture))
    frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(image)]
    quality = 45 if frames[1:] else 68
    return min(webp(frames, times(image), lossless=True), webp(frames, times(image), quality=quality), key=len)


def small_copy(picture: bytes) -> bytes:
    """The picture for a download, where it lies inside the notebook: two thirds of its size."""
    image = Image.open(io.BytesIO(picture))
    size = (image.width * 2 // 3, image.height * 2 // 3)
    frames = [frame.convert("RGB").resize(size) for frame in ImageSequence.Iterator(image)]
    return webp(frames, times(image), quality=40 if frames[1:] else 50)


def thumbnail(picture: bytes) -> bytes:
    """The first frame, as wide as a card."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.thumbnail((CARD_WIDTH, CARD_WIDTH))
    return webp([image], [], quality=75)


def still(picture: bytes) -> bytes:
    """The last frame of a moving picture."""
    image = Image.open(io.BytesIO(picture))
    image.seek(image.n_frames - 1)
    return webp([image.convert("RGB")], [], quality=75)


class Pictures:
    """Writes pictures into the folder that Sphinx reads, and knows their texts.

    `texts` is pictures.toml: texts[notebook][figure] says what the figure shows. Made files are kept in `cache`, under
    the hash of what they are made of and of this file.
    """

    def __init__(self, texts: dict[str, dict[str, str]], folder: Path, cache: Path):
        self.texts, self.folder, self.cache = texts, folder, cache
        self.used: set[tuple[str, str]] = set()
        cache.mkdir(parents=True, exist_ok=True)

    def text(self, notebook: str, figure: str) -> str:
        self.used.add((notebook, figure))
        text = self.texts.get(notebook, {}).get(figure, "")
        if not text:
            raise SystemExit(
                f"site/pictures.toml has no text for the figure {figure!r} of {notebook}. Look at the picture, and "
                f'write in the section [{notebook}] a sentence that says what it shows: {figure} = "..."'
            )
        return text

    def check_all_used(self) -> None:
        """Refuse texts of pictures that are gone: their sentence may have slipped to another picture."""
        written = {(notebook, figure) for notebook, section in self.texts.items() for figure in section} - {
            (notebook, "card") for notebook in self.texts
        }
        if written - self.used:
            raise SystemExit(
                f"site/pictures.toml has texts for pictures that are not there: {sorted(written - self.used)}"
            )

    def made(self, picture: bytes, make) -> bytes:
        path = self.cache / hashlib.sha256(THIS_FILE + make.__name__.encode() + picture).hexdigest()
        if not path.exists():
            path.write_bytes(make(picture))
        return path.read_bytes()

    def write(self, picture: bytes, make, folder: str = "extra/pictures") -> tuple[str, tuple[int, int]]:
        """Write the made picture; give its name and its width and height."""
        made = self.made(picture, make)
        name = f"{hashlib.sha256(made).hexdigest()[:12]}.webp"
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        (self.folder / folder / name).write_bytes(made)
        return name, Image.open(io.BytesIO(made)).size

    def html(self, picture: bytes, text: str, up: str) -> str:
        """The picture as a link to itself, so that a finger opens it in full size; `up` leads to the site's root.

        A moving picture stands still where the reader's system asks for less motion.
        """
        name, (width, height) = self.write(picture, smallest_webp)
        image = f'<img src="{up}pictures/{name}" alt="{escape(text)}" width="{width}" height="{height}" loading="lazy">'
        if getattr(Image.open(io.BytesIO(picture)), "n_frames", 1) > 1:
            calm, _ = self.write(picture, still)
            calm = f'<source srcset="{up}pictures/{calm}" media="(prefers-reduced-motion: reduce)">'
            image = f"<picture>{calm}{image}</picture>"
        return f'<a class="figure" href="{up}pictures/{name}">{image}</a>'

    def inline(self, picture: bytes, text: str) -> str:
        """The picture as HTML that holds it, a small copy in its full size; Jupyter, Colab and VS Code show it."""
        copy = base64.b64encode(self.made(picture, small_copy)).decode()
        width = Image.open(io.BytesIO(picture)).width
        return f'<img src="data:image/webp;base64,{copy}" alt="{escape(text)}" width="{width}">'

    def card(self, notebook: str, content) -> tuple[str, str]:
        """Write the thumbnail of the notebook's card, and give its name and its text."""
        figure = self.texts.get(notebook, {}).get("card", "")
        found = figures(content)
        if figure not in found:
            raise SystemExit(
                f"site/pictures.toml names {figure!r} as the card of {notebook}. Expected one of its pictures: "
                f"{', '.join(found)}"
            )
        return self.write(found[figure][1], thumbnail, "cards")[0], self.text(notebook, figure)
