"""What builds the web site, and the site in build/site where it was built."""

import base64
import importlib
import importlib.util
import inspect
import io
import json
import os
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

import nbformat
import pytest
from PIL import Image

import vae_keras

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
REPOSITORY = "https://github.com/owner/name"


@pytest.fixture
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")

    def module(name):
        return importlib.import_module(name)

    return module


@pytest.fixture
def pages(scripts):
    return scripts("site_pages")


@pytest.fixture
def make_pictures(scripts, tmp_path):
    def make(texts):
        return scripts("site_pictures").Pictures(texts, tmp_path / "source", tmp_path / "cache")

    return make


def png(colour="red", size=(60, 30)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def shown(content, tags=()):
    data = {"image/png": base64.b64encode(content).decode(), "text/plain": "<Figure>"}
    output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    return nbformat.v4.new_code_cell("plot()", outputs=[output], metadata={"tags": list(tags)})


def notebook(*cells):
    opening = "# A title\n\n- **Minutes**: 30 to read, 2 to run."
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(opening), *cells])


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("results/README.md", "[g](../docs/glossary.md)", "[g](glossary.md)"),
        ("results/README.md", "[n](../notebooks/03_gelu.ipynb)", "[n](notebooks/03_gelu.ipynb)"),
        ("results/README.md", "[s](../README.md#studies)", "[s](package.md#studies)"),
        ("docs/cheat_sheet.md", "[walk](../README.md#the-walk)", "[walk](index.md#the-walk)"),
        ("notebooks/a.ipynb", "[r](../results/README.md#on-other-data)", "[r](../results.md#on-other-data)"),
        ("README.md", "[vae](vae_keras/vae.py), [data](vae_keras/data)", "[vae](api/vae.md), [data](api/data.md)"),
        (
            "README.md",
            "the [licence](LICENSE) [here](#tests) [out](https://a.org)",
            "the licence [here](#tests) [out](https://a.org)",
        ),
        ("README.md", "![picture](figures/a.png)", "![picture](figures/a.png)"),
    ],
)
def test_links_of_the_repository_lead_to_pages(pages, source, text, expected):
    assert pages.with_links(text, source) == expected


def test_files_without_a_page_are_linked_in_the_repository_where_its_address_is_set(pages):
    linked = pages.with_links("[f](full_data.json)", "results/README.md", REPOSITORY)
    assert linked == f"[f]({REPOSITORY}/blob/main/results/full_data.json)"


def test_every_notebook_has_a_card_in_a_group(pages):
    cards = pages.read_cards(ROOT)
    pages.check_cards(cards, NOTEBOOKS)
    groups = {card["name"]: card["group"] for card in cards}
    assert [name for name in NOTEBOOKS if groups[name] == "walk"] == NOTEBOOKS[:3]
    assert [name for name in NOTEBOOKS if groups[name] == "appendices"] == ["appendix_activation_study"]
    assert all(len(card["text"]) > 40 for card in cards)
    with pytest.raises(SystemExit, match="99_new"):
        pages.check_cards(cards, [*NOTEBOOKS, "99_new"])


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_says_how_long_it_takes(pages, name):
    opening = pages.read_opening(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4))
    assert opening["title"] and 10 <= opening["read"] <= 60 and 1 <= opening["run"] <= 5
    with pytest.raises(SystemExit, match="to read"):
        pages.read_opening(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# No minutes")]))


def test_every_picture_of_the_notebooks_has_a_text_and_no_text_is_left_over(scripts):
    texts = tomllib.loads((ROOT / "site" / "pictures.toml").read_text())
    figures = {
        name: list(scripts("site_pictures").figures(nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)))
        for name in NOTEBOOKS
    }
    assert {name: sorted(set(section) - {"card"}) for name, section in texts.items()} == {
        name: sorted(named) for name, named in figures.items()
    }
    assert all(len(text) > 30 for section in texts.values() for key, text in section.items() if key != "card")
    assert all(section["card"] in figures[name] for name, section in texts.items())


def test_a_figure_has_its_name_and_other_pictures_their_number(scripts):
    cells = shown(png("red")), shown(png("blue"), ["figure=01_blue"]), shown(png("green"))
    assert list(scripts("site_pictures").figures(notebook(*cells))) == ["1", "01_blue", "3"]


def test_a_picture_without_a_text_and_a_text_without_a_picture_are_named(scripts, make_pictures):
    page = scripts("build_site").notebook_page
    with pytest.raises(SystemExit, match=r"'01_blue' of 01_book"):
        page(notebook(shown(png(), ["figure=01_blue"])), "01_book", "", make_pictures({"01_book": {"card": "01_blue"}}))
    pictures = make_pictures({"01_book": {"card": "1", "1": "Red.", "2": "Gone."}})
    page(notebook(shown(png())), "01_book", "", pictures)
    with pytest.raises(SystemExit, match="'2'"):
        pictures.check_all_used()


def test_pictures_become_links_to_themselves_with_their_text(scripts, make_pictures, tmp_path):
    pictures = make_pictures({"01_book": {"1": 'Red, "quoted".'}})
    page = scripts("build_site").notebook_page(notebook(shown(png())), "01_book", "<p>links</p>", pictures)
    (output,) = page.cells[1].outputs
    assert list(output.data) == ["text/html"]
    found = re.fullmatch(
        r'<a class="figure" href="\.\./pictures/(\w+\.webp)"><img src="\.\./pictures/\1" alt="(.*)" width="60" '
        r'height="30" loading="lazy"></a>',
        output.data["text/html"],
    )
    assert found[2] == "Red, &quot;quoted&quot;."
    with Image.open(tmp_path / "source" / "extra" / "pictures" / found[1]) as picture:
        assert picture.size == (60, 30)
    assert page.cells[0].source.startswith("# A title\n\n<p>links</p>\n")


def test_of_a_widget_and_a_page_the_site_shows_the_page(scripts, make_pictures):
    data = {
        "application/vnd.jupyter.widget-view+json": {},
        "text/html": "<div data-explorer></div>",
        "text/plain": "Explorer",
    }
    output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    cell = nbformat.v4.new_code_cell("explorer", outputs=[output])
    page = scripts("build_site").notebook_page(notebook(cell), "01_book", "", make_pictures({}))
    assert page.cells[1].outputs[0].data == {"text/html": "<div data-explorer></div>"}


def test_tables_stand_in_a_box(pages):
    html = (
        '<div>\n<style scoped>\n .a {}\n</style>\n<table border="1" class="dataframe"><tr><th></th></tr></table></div>'
    )
    assert pages.boxed(html) == (
        '<div>\n<div class="table-box"><table class="dataframe"><tr><td></td></tr></table></div></div>'
    )


def test_a_moving_picture_keeps_its_times_and_has_a_still(scripts, make_pictures):
    made = scripts("site_pictures")
    gif = (ROOT / "figures" / "02_training.gif").read_bytes()
    webp = Image.open(io.BytesIO(made.smallest_webp(gif)))
    assert webp.n_frames == Image.open(io.BytesIO(gif)).n_frames > 5
    html = make_pictures({}).html(gif, "Moving.", "")
    assert "prefers-reduced-motion" in html and html.count(".webp") == 3


def test_a_download_installs_what_is_missing_only_where_an_address_is_set(pages, make_pictures):
    pictures = make_pictures({"01_book": {"1": "Red."}})
    plain = pages.download(notebook(shown(png())), "01_book", "", pictures)
    assert [cell.cell_type for cell in plain.cells] == ["markdown", "code"]
    installing = pages.download(notebook(shown(png())), "01_book", REPOSITORY, pictures)
    nbformat.validate(installing)
    assert [cell.cell_type for cell in installing.cells] == ["code", "markdown", "code"]
    assert f"git clone --quiet --depth 1 {REPOSITORY}" in installing.cells[0].source
    assert 'find_spec("vae_keras") is None' in installing.cells[0].source
    html = installing.cells[2].outputs[0].data["text/html"]
    assert 'alt="Red."' in html and 'width="60"' in html


def test_buttons_need_the_address_of_the_repository(pages):
    card = {"name": "01_book"}
    assert pages.notebook_links(card, "").count("<a ") == 1
    links = pages.notebook_links(card, REPOSITORY)
    assert "https://colab.research.google.com/github/owner/name/blob/colab/01_book.ipynb" in links
    assert "https://mybinder.org/v2/gh/owner/name/main?labpath=notebooks/01_book.ipynb" in links
    assert f"{REPOSITORY}/blob/main/notebooks/01_book.ipynb" in links
    assert "colab" not in pages.notebook_links(card, "https://example.org/owner/name")


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        (".used{color:red}", True),
        (".unused{color:red}", False),
        (".used .unused{color:red}", False),
        (".used:not(.unused){color:red}", True),
        (".unused, .used{color:red}", True),
        ("#main > p{color:red}", True),
        ("@media (min-width:9px){.unused{color:red}}", False),
        ("@media (min-width:9px){.used{color:red}}", True),
        ("[data-theme=dark] p{color:red}", True),
        (".fa-used{color:red}", False),
    ],
)
def test_style_sheets_keep_the_rules_that_pages_use(scripts, css, kept):
    assert ("color:red" in scripts("trim_site").used_rules(css, {"used", "main", "fa-used"})) == kept


def test_scripts_are_loaded_where_a_page_needs_them(scripts):
    head = '<script src="_static/katex.min.js"></script><script src="_static/doctools.js"></script>'
    trimmed = scripts("trim_site").trimmed
    assert trimmed(f"{head}<p>text</p>") == '<script src="_static/doctools.js"></script><p>text</p>'
    assert trimmed(f'{head}<span class="math">x</span>').count("<script") == 2
    assert (
        trimmed('<pre><span class="n">a</span> <span class="mi">1</span></pre>')
        == '<pre>a <span class="mi">1</span></pre>'
    )


def test_long_signatures_are_no_definition_lists(scripts):
    html = scripts("trim_site").mended("<dt>f(\n<dl>\n<dd><em>a</em>,</dd>\n<dd><em>b</em></dd>\n</dl>\n)</dt>")
    assert "<dl>" not in html and html.count('<span class="sig-line">') == 2


def test_the_explorer_is_put_on_the_pages_that_ask_for_it(scripts, tmp_path):
    site, models = tmp_path / "site", tmp_path / "models"
    for name, text in {"a/with.html": '<head></head><div data-explorer="">', "without.html": "<head></head>"}.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)
    (site / "_static").mkdir()
    models.mkdir()
    for name in ("index.json", "vae.bin", "vae.reference.json"):
        (models / name).write_text("{}")
    add = scripts("trim_site").add_explorer
    add(site, tmp_path / "explorer.js", models)
    assert "<script" not in (site / "a" / "with.html").read_text()
    (tmp_path / "explorer.js").write_text("export default {}")
    add(site, tmp_path / "explorer.js", models)
    assert '<script type="module" src="../_static/explorer.js"></script>' in (site / "a" / "with.html").read_text()
    assert "<script" not in (site / "without.html").read_text()
    assert sorted(path.name for path in (site / "models").iterdir()) == ["index.json", "vae.bin"]


def test_katex_has_its_licence_and_loads_only_what_is_there():
    folder = ROOT / "site" / "_static" / "katex"
    css = (folder / "katex.min.css").read_text()
    fonts = set(re.findall(r"url\(([^)]+)\)", css))
    assert fonts == {f"fonts/{path.name}" for path in (folder / "fonts").iterdir()}
    assert all(font.endswith(".woff2") for font in fonts)
    assert "MIT" in (folder / "LICENSE").read_text()
    assert "0.16.22" in css


class Page(HTMLParser):
    """What a page names: ids, links, what it loads, and pictures."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded, self.images = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.update(attributes[key] for key in ("id", "name") if key in attributes)
        if tag == "a" and "href" in attributes:
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        for key in ("src", "srcset", "poster", "data", "action"):
            if attributes.get(key):
                self.loaded.append(attributes[key])
        if tag == "link" and attributes.get("rel") in ("stylesheet", "icon", "preload", "modulepreload", "prefetch"):
            self.loaded.append(attributes["href"])


@pytest.fixture(scope="module")
def built():
    """Every page of the built site by its path."""
    if (SITE / "index.html").exists():
        return {path.relative_to(SITE).as_posix(): Page(path.read_text()) for path in sorted(SITE.rglob("*.html"))}
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx, which builds the site, is not installed: make site installs it and builds")
    if os.environ.get("CI"):
        pytest.fail("build/site is not there, and Sphinx is: call make site before the tests")
    pytest.skip("build/site is not there: make site builds it")


def target(page, link):
    path, _, anchor = link.partition("#")
    path = unquote(path.split("?")[0])
    return normpath(f"{Path(page).parent.as_posix()}/{path}") if path else page, unquote(anchor)


def test_nothing_comes_from_another_host(built):
    for name, page in built.items():
        assert [file for file in page.loaded if re.match(r"(https?:)?//", file)] == [], name
    for path in SITE.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import\s)[\"']?(?:https?:)?//[^)]*", path.read_text()) == [], path.name


def test_every_link_inside_the_site_leads_somewhere(built):
    broken = []
    for name, page in built.items():
        for link in [*page.links, *page.loaded]:
            if re.match(r"[a-z]+:|//", link):
                continue
            path, anchor = target(name, link)
            path = f"{path}/index.html" if (SITE / path).is_dir() else path
            if not (SITE / path).is_file() or (anchor and path in built and anchor not in built[path].ids):
                broken.append((name, link))
    assert broken == []


def test_style_sheets_load_files_that_are_there(built):
    for path in SITE.rglob("*.css"):
        for file in re.findall(r"url\([\"']?(?!data:)([^)\"'?#]+)", path.read_text()):
            if "fonts/" in file or file.startswith("."):
                assert (path.parent / file).is_file(), (path.name, file)


def test_every_picture_has_a_text(built):
    pictures = 0
    for name, page in built.items():
        for image in page.images:
            assert len(image.get("alt") or "") > 20, (name, image)
            pictures += 1
    assert pictures > 100


def size_with_what_it_loads(name, page):
    files = {target(name, file)[0] for file in page.loaded if not file.startswith("data:")}
    styles = [file for file in files if file.endswith(".css")]
    for style in styles:
        for imported in re.findall(r"@import [\"']([^\"']+)", (SITE / style).read_text()):
            files.add(normpath(f"{Path(style).parent.as_posix()}/{imported}"))
    return (SITE / name).stat().st_size + sum((SITE / file).stat().st_size for file in files)


def test_pages_are_small(built):
    explorer = SITE / "_static" / "explorer.js"
    own = size_with_what_it_loads("explorer.html", built["explorer.html"])
    assert own - explorer.stat().st_size < 300_000
    index = json.loads((SITE / "models" / "index.json").read_text())
    first = ["index.json", index["data"]["mnist"]["file"], f"{index['start']}.json", f"{index['start']}.bin"]
    assert own + sum((SITE / "models" / file).stat().st_size for file in first) < 700_000
    for name in NOTEBOOKS:
        assert size_with_what_it_loads(f"notebooks/{name}.html", built[f"notebooks/{name}.html"]) < 2_500_000
    files = [path for path in SITE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 15_000_000
    assert sum(path.stat().st_size for path in files if SITE / "models" not in path.parents) < 9_000_000


def test_every_notebook_has_a_page_a_card_and_a_download(built, pages):
    for name in NOTEBOOKS:
        assert f"notebooks/{name}.html" in built
        assert any(link.startswith(f"notebooks/{name}.html") for link in built["index.html"].links)
        assert f"../downloads/{name}.ipynb" in built[f"notebooks/{name}.html"].links
        stored = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
        taken = nbformat.read(SITE / "downloads" / f"{name}.ipynb", as_version=4)
        nbformat.validate(taken)
        assert [cell.source for cell in taken.cells][-len(stored.cells) :] == [cell.source for cell in stored.cells]
    assert len([image for image in built["index.html"].images if "_images/" in image["src"]]) == len(NOTEBOOKS)


def test_search_finds_reparameterisation(built):
    index = json.loads((SITE / "searchindex.js").read_text().removeprefix("Search.setIndex(").removesuffix(")"))
    found = index["terms"]["reparameteris"]
    assert "notebooks/02_variational_autoencoder" in [index["docnames"][number] for number in found]


def test_the_api_has_every_public_class_and_function_and_nothing_of_keras(built):
    ids = {name for page in built.values() for name in page.ids}
    for name in vae_keras.__all__:
        thing = getattr(vae_keras, name)
        members = [thing] if not inspect.ismodule(thing) else public(thing)
        for member in members:
            assert any(each.endswith(f".{member.__name__}") for each in ids), member
    assert "vae_keras.vae.VAE" in ids
    assert not [name for name in ids if re.search(r"\.(add_loss|add_weight|build_from_config|quantize)$", name)]


def public(module):
    named = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    things = [getattr(module, name) for name in named]
    here = [thing for thing in things if inspect.isclass(thing) or inspect.isfunction(thing)]
    return [thing for thing in here if thing.__module__.startswith(module.__name__)]


def test_no_page_knows_where_it_was_built(built):
    for path in SITE.rglob("*"):
        if path.suffix in (".html", ".js", ".css", ".ipynb"):
            assert str(ROOT) not in path.read_text(), path.name
