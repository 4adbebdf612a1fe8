"""The pages of the site as text: what is read from the README and the notebooks, and what is written from it."""

import posixpath
import re
from pathlib import Path

import nbformat
import site_pictures

# A page of the repository, and where it stands on the site. Notebooks and the modules of the package have pages, too.
PAGES = {
    "README.md": "package.md",
    "results/README.md": "results.md",
    "docs/glossary.md": "glossary.md",
    "docs/cheat_sheet.md": "cheat_sheet.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
GROUPS = {"walk": "The walk", "further": "Further parts", "appendices": "Appendices"}
STYLE = re.compile(r"<style scoped>.*?</style>\s*", re.DOTALL)
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")

INSTALL = """# Where the package is missing, as on Colab: it and the records of the studies.
import importlib.util

if importlib.util.find_spec("vae_keras") is None:
    !git clone --quiet --depth 1 {repository} vae-keras
    %cd vae-keras
    %pip install --quiet '.[explorer]'"""


def page_of(path: str) -> str | None:
    """The page of a file of the repository, None where it has none."""
    module = re.fullmatch(r"vae_keras/(\w+?)(?:\.py)?", path)
    if path.startswith("notebooks/"):
        return path
    return f"api/{module[1]}.md" if module else PAGES.get(path)


def with_links(text: str, source: str, repository: str = "") -> str:
    """Turn links between files of the repository into links between pages of the site.

    Args:
        text: Markdown, of the file `source` of the repository.
        source: Its path there.
        repository: Address for files that have no page; empty where there is none: such a link becomes plain text.
    """
    here = posixpath.dirname(page_of(source) or source)

    def link(match: re.Match) -> str:
        words, path, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        page = page_of(path)
        if path == "README.md" and anchor == "#the-walk":
            page = "index.md"
        if page:
            return f"[{words}]({posixpath.relpath(page, here or '.')}{anchor})"
        return f"[{words}]({repository}/blob/main/{path}{anchor})" if repository else words

    return LINK.sub(link, text)


def readme_page(text: str) -> str:
    """The README without what the front page has: its title, its picture, and the walk."""
    text = re.sub(
        r"\A# .*?(?=^Notebooks in Keras 3)", "# Run it, and use the package\n\n", text, flags=re.DOTALL | re.MULTILINE
    )
    return re.sub(r"^## The walk\n.*?(?=^## )", "", text, flags=re.DOTALL | re.MULTILINE)


def boxed(html: str) -> str:
    """Tables of pandas without the style that each repeats, in a box that scrolls where the table is too wide."""
    html = STYLE.sub("", html)
    html = re.sub(r' (border="1"|style="text-align: right;")', "", html)
    html = re.sub(r"<th></th>", "<td></td>", html)
    return html.replace("<table", '<div class="table-box"><table').replace("</table>", "</table></div>")


def read_cards(root: Path) -> list[dict]:
    """A card for each row of the README's tables of notebooks: its name, its group, and what one sees in it."""
    readme = (root / "README.md").read_text()
    walk = readme.split("## The walk", 1)[1].split("\n## ", 1)[0]
    cards = []
    for group, part in zip(("walk", "further"), walk.split("Then, in any order:")):
        for name, text in re.findall(
            r"^\| \[(\w+)\]\(notebooks/\w+\.ipynb\) \|(?:[ \d]+\|)? (.+) \|$", part, re.MULTILINE
        ):
            cards.append({"name": name, "group": "appendices" if name.startswith("appendix") else group, "text": text})
    return cards


def check_cards(cards: list[dict], notebooks: list[str]) -> None:
    named = sorted(card["name"] for card in cards)
    if named != notebooks:
        raise SystemExit(
            f"The README's tables of the walk name {named}, and notebooks/ has {notebooks}. "
            "Expected a row for each notebook."
        )


def read_opening(notebook: nbformat.NotebookNode) -> dict:
    """The title of a notebook, and the minutes to read and to run it, from its first cell."""
    opening = notebook.cells[0].source
    minutes = re.search(r"\*\*Minutes\*\*: (\d+) to read, (\d+) to run", opening)
    if not minutes or not opening.startswith("# "):
        raise SystemExit(
            f"A notebook opens with {opening[:60]!r}. "
            "Expected '# Title', and below it '**Minutes**: 30 to read, 2 to run'."
        )
    return {"title": opening.splitlines()[0].removeprefix("# "), "read": int(minutes[1]), "run": int(minutes[2])}


def notebook_links(card: dict, repository: str) -> str:
    """The line under a notebook's title: the download, and the buttons that need the repository's address."""
    links = [f'<a href="../downloads/{card["name"]}.ipynb" download>Download the notebook</a>']
    if repository:
        path = f"notebooks/{card['name']}.ipynb"
        links.append(f'<a href="{repository}/blob/main/{path}">Source</a>')
        if repository.startswith("https://github.com/"):
            name = repository.removeprefix("https://github.com/")
            # The branch `colab` holds the downloads, whose first cell installs the package.
            colab = f"https://colab.research.google.com/github/{name}/blob/colab/{card['name']}.ipynb"
            binder = f"https://mybinder.org/v2/gh/{name}/main?labpath={path}"
            links += [f'<a href="{colab}">Open in Colab</a>', f'<a href="{binder}">Open in Binder</a>']
    return f'<p class="notebook-links">{" ".join(links)}</p>'


def download(notebook: nbformat.NotebookNode, name: str, repository: str, pictures: site_pictures.Pictures):
    """The notebook to take away: smaller pictures, and with an address a first cell that installs what is missing."""
    for figure, (output, picture) in site_pictures.figures(notebook).items():
        output.data = {"text/html": pictures.inline(picture, pictures.text(name, figure))}
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "text/html" in output.get("data", {}):
            output.data["text/html"] = STYLE.sub("", output.data["text/html"])
    if repository:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(INSTALL.format(repository=repository), id="install"))
    return notebook


def module_names(readme: str) -> dict[str, str]:
    """The modules of the README's table of the package, in its order, and what each holds."""
    table = readme.split("## The package", 1)[1].split("\n### ", 1)[0]
    modules = {}
    for names, text in re.findall(r"^\| (\[.+?\)) \| (.+) \|$", table, re.MULTILINE):
        for name in re.findall(r"\]\(vae_keras/(\w+)", names):
            modules[name] = text
    return modules


def api_pages(readme: str, root: Path) -> dict[str, str]:
    """A page for each module of the package, from its docstrings."""
    pages = {}
    modules = module_names(readme)
    for name in modules:
        # What a package offers stands in its __all__, and comes from the modules below.
        imported = "   :imported-members:\n" if (root / "vae_keras" / name / "__init__.py").exists() else ""
        directive = f".. automodule:: vae_keras.{name}\n   :members:\n   :show-inheritance:\n{imported}"
        pages[name] = f"# vae_keras.{name}\n\n```{{eval-rst}}\n{directive}```\n"
    plain = {name: re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text) for name, text in modules.items()}
    rows = "\n".join(f"| [{name}]({name}.md) | {text} |" for name, text in plain.items())
    listed = "\n".join(modules)
    pages["index"] = (
        "# API\n\nEvery public class and function of `vae_keras`, module by module, in the order in which data pass "
        "through them. Losses are in nats per image.\n\n| module | what it holds |\n|---|---|\n"
        f"{rows}\n\n```{{toctree}}\n:hidden:\n\n{listed}\n```\n"
    )
    return pages


def card_grid(cards: list[dict]) -> str:
    """Cards of notebooks as sphinx-design draws them."""
    parts = []
    for card in cards:
        picture, text = card["picture"]
        parts.append(
            f":::{{grid-item-card}} {card['title']}\n:link: notebooks/{card['name']}\n:link-type: doc\n"
            f":img-top: cards/{picture}\n:img-alt: {text}\n"
            f":footer: {card['read']} minutes to read, {card['run']} to run\n\n"
            f"{card['text'][0].upper()}{card['text'][1:]}.\n:::\n"
        )
    return "::::{grid} 1 2 2 3\n:gutter: 3\n\n" + "\n".join(parts) + "::::\n"


def filled(text: str, cards: list[dict], still: str) -> str:
    """Put the cards, the table of contents and the still picture where a page of site/ asks for them."""
    for group, title in GROUPS.items():
        of_group = [card for card in cards if card["group"] == group]
        names = "\n".join(f"notebooks/{card['name']}" for card in of_group)
        text = text.replace(f"<!-- cards: {group} -->", card_grid(of_group))
        text = text.replace(
            f"<!-- contents: {group} -->", f"```{{toctree}}\n:hidden:\n:caption: {title}\n\n{names}\n```"
        )
    return text.replace("<!-- still -->", still)
