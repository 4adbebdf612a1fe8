"""Build the web site of the book into build/site: `make site`. Notebooks are shown as they are stored and never run."""

import argparse
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from posixpath import relpath

import nbformat
import site_pages
import site_pictures
import trim_site

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
SITE = BUILD / "site"
SOURCE = BUILD / "site-source"
UNTRIMMED = BUILD / "site-untrimmed"
CACHE = BUILD / "site-cache"


def notebook_page(notebook: nbformat.NotebookNode, name: str, links: str, pictures: site_pictures.Pictures):
    """Turn a notebook into what its page shows: each picture with its text, each table in a box of its own."""
    for figure, (output, picture) in site_pictures.figures(notebook).items():
        output.data = {"text/html": pictures.html(picture, pictures.text(name, figure), "../")}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = site_pages.with_links(cell.source, f"notebooks/{name}.ipynb")
            continue
        for output in cell.outputs:
            if "text/html" in output.get("data", {}):
                # A widget and the page of the same cell show the same thing: here the page.
                output.data = {"text/html": site_pages.boxed(output.data["text/html"])}
    first = notebook.cells[0]
    title, _, rest = first.source.partition("\n")
    first.source = f"{title}\n\n{links}\n{rest}"
    return notebook


def write_source(repository: str) -> None:
    """Write what Sphinx reads: the repository's own pages with their links and pictures, and those made from them."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    (SOURCE / "notebooks").mkdir(parents=True)
    texts = tomllib.loads((ROOT / "site" / "pictures.toml").read_text())
    pictures = site_pictures.Pictures(texts, SOURCE, CACHE)
    cards = site_pages.read_cards(ROOT)
    site_pages.check_cards(cards, sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb")))
    for card in cards:
        path = ROOT / "notebooks" / f"{card['name']}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        card |= site_pages.read_opening(notebook)
        card["picture"] = pictures.card(card["name"], notebook)
        download = SOURCE / "extra" / "downloads" / path.name
        download.parent.mkdir(parents=True, exist_ok=True)
        copy = site_pages.download(nbformat.read(path, as_version=4), card["name"], repository, pictures)
        nbformat.write(copy, download)
        page = notebook_page(notebook, card["name"], site_pages.notebook_links(card, repository), pictures)
        nbformat.write(page, SOURCE / "notebooks" / path.name)
    pictures.check_all_used()
    for source, target in site_pages.PAGES.items():
        text = (ROOT / source).read_text()
        if source == "README.md":
            text = site_pages.readme_page(text)
        text = site_pages.with_links(text, source, repository)
        # Every picture of a page of the repository has its text there.
        for mark, shows, name in re.findall(r"(!\[([^\]]+)\]\((?!https?:)([^)]+)\))", text):
            text = text.replace(mark, pictures.html(((ROOT / source).parent / name).read_bytes(), shows, ""))
        write(target, text)
    for name, text in site_pages.api_pages((ROOT / "README.md").read_text(), ROOT).items():
        write(f"api/{name}.md", text)
    still = pictures.html(
        (ROOT / "figures" / "02_grid.png").read_bytes(), texts["02_variational_autoencoder"]["02_grid"], ""
    )
    for page in ("index.md", "explorer.md"):
        text = (ROOT / "site" / page).read_text()
        write(page, site_pages.filled(text, cards, still))


def write(name: str, text: str) -> None:
    path = SOURCE / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def run_sphinx() -> None:
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--fresh-env"]
    folders = [
        "--conf-dir",
        str(ROOT / "site"),
        "--doctree-dir",
        str(BUILD / "site-doctrees"),
        str(SOURCE),
        str(UNTRIMMED),
    ]
    shutil.rmtree(UNTRIMMED, ignore_errors=True)
    ended = subprocess.run([*command, *folders], cwd=ROOT, check=False)
    if ended.returncode:
        raise SystemExit("Sphinx has warned or failed: see above. The site was not built.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--repository", default="", help="address of the repository, https://...; empty: no buttons to it"
    )
    repository = parser.parse_args().repository.removesuffix("/")
    write_source(repository)
    run_sphinx()
    trim_site.publish(UNTRIMMED, SITE)
    trim_site.add_explorer(SITE, ROOT / "vae_keras" / "explorer.js", ROOT / "site" / "models")
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(f"{relpath(SITE, ROOT)}: {len(list(SITE.rglob('*.html')))} pages, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
