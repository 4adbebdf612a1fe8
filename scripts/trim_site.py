"""Publish what Sphinx wrote: the pages and what they load, style sheets cut down to the rules that the pages use."""

import json
import re
import shutil
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote

import tinycss2

# Scripts and styles that only some pages need: what a page holds if it does.
NEEDED_FOR = {
    "katex": 'class="math',
    "auto-render": 'class="math',
    "clipboard": 'class="highlight',
    "copybutton": 'class="highlight',
    "pygments": 'class="highlight',
    "mystnb": 'class="cell',
    "sphinx-design": 'class="sd-',
    "design-tabs": "sd-tab-set",
    "searchtools": 'id="search-results"',
    "language_data": 'id="search-results"',
    "searchindex": 'id="search-results"',
}
# Font Awesome's script is 1.5 MB. The few icons that pages use become masks of a style sheet.
ICONS = "fontawesome.js"
TAG = re.compile(r"[ \t]*<(?:script|link)\b[^>]*?(?:src|href)=\"([^\"#]+)\"[^>]*>(?:</script>)?\n?")
REFERENCE = re.compile(r"(?:src|href|srcset|poster)=\"([^\"]+)\"")


def publish(built: Path, site: Path) -> None:
    """Copy pages and what they load from `built` to `site`, which is made anew."""
    shutil.rmtree(site, ignore_errors=True)
    pages = {
        path.relative_to(built).as_posix(): trimmed(mended(path.read_text()))
        for path in sorted(built.rglob("*.html"))
        if "_static" not in path.parts
    }
    loaded = sorted(
        {name for page, text in pages.items() for name in references(text, page) if (built / name).is_file()}
    )
    scripts = "\n".join((built / name).read_text() for name in loaded if name.endswith(".js") and ICONS not in name)
    classes = re.findall(r"\b(?:class|id)=\"([^\"]*)\"", "\n".join(pages.values()))
    words = {*" ".join(classes).split(), *re.findall(r"[\w-]+", scripts)}
    for page, text in pages.items():
        write(site / page, text)
    for name in loaded:
        if name not in pages:
            copy(built, site, name, words)
    for licence in built.glob("_static/*/LICENSE"):
        write(site / licence.relative_to(built), licence.read_text())
    icons = icon_rules((built / "_static" / "scripts" / ICONS).read_text(), words)
    with (site / "_static" / "site.css").open("a") as file:
        file.write(icons)


def copy(built: Path, site: Path, name: str, words: set[str]) -> None:
    """Copy a file; a style sheet without the rules that no page uses, and with the files that it loads."""
    (site / name).parent.mkdir(parents=True, exist_ok=True)
    if not name.endswith(".css"):
        shutil.copyfile(built / name, site / name)
        return
    css = (built / name).read_text()
    # KaTeX puts the names of its classes together while it runs; site.css is ours.
    if "katex" not in name and not name.endswith("site.css"):
        css = used_rules(css, words)
    write(site / name, css)
    imported = re.findall(r"@import [\"']([^\"']+)", css)
    for file in [*imported, *re.findall(r"url\([\"']?(?!data:)([^)\"'?#]+)", css)]:
        path = normpath(f"{Path(name).parent.as_posix()}/{file}")
        if (built / path).is_file():
            copy(built, site, path, words)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def references(text: str, page: str) -> list[str]:
    """The files of the site that a page names, from the site's root."""
    folder = Path(page).parent.as_posix()
    local = [name for name in REFERENCE.findall(text) if not re.match(r"[a-z]+:|#|//", name)]
    return [normpath(f"{folder}/{unquote(re.split('[?#]', name)[0])}") for name in local]


def mended(text: str) -> str:
    """A page whose marks say what they are, for readers who hear it."""
    # Sphinx sets the arguments of a long signature as a list of definitions without terms.
    arguments = re.compile(r"<dl>\s*((?:<dd>.*?</dd>\s*)+)</dl>", re.DOTALL)

    def lines(match: re.Match) -> str:
        return match[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")

    text = arguments.sub(lines, text)
    return text.replace(
        '<summary><span class="toctree-toggle"', '<summary aria-label="Pages below"><span class="toctree-toggle"'
    )


def trimmed(text: str) -> str:
    """A page without the scripts and styles that it does not need, and without marks that nobody sees."""

    def kept(match: re.Match) -> str:
        name = match[1]
        if ICONS in name or 'rel="preload"' in match[0]:
            return ""
        needless = [part for part, mark in NEEDED_FOR.items() if part in name and mark not in text]
        return "" if needless else match[0]

    parts = re.split(r"(<pre.*?</pre>|<script.*?</script>)", TAG.sub(kept, text), flags=re.DOTALL)
    # Names, punctuation and spaces of code have the colour of the text.
    parts[1::2] = [re.sub(r'<span class="[npw]">([^<]*)</span>', r"\1", part) for part in parts[1::2]]
    parts[::2] = [re.sub(r"\s*\n\s*", "\n", part) for part in parts[::2]]
    return "".join(parts)


def used_rules(css: str, words: set[str]) -> str:
    """The rules of a style sheet whose classes and ids all stand in `words`, and the font faces."""
    kept = []
    for rule in tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True):
        if rule.type == "qualified-rule":
            selectors = split_selectors(tinycss2.serialize(rule.prelude))
            used = [selector for selector in selectors if names(selector) <= words and not selector.startswith(".fa")]
            if used:
                kept.append(f"{','.join(used)}{{{tinycss2.serialize(rule.content).strip()}}}")
        elif (
            rule.type == "at-rule"
            and rule.lower_at_keyword in ("media", "supports", "layer")
            and rule.content is not None
        ):
            inside = used_rules(tinycss2.serialize(rule.content), words)
            if inside:
                kept.append(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{inside}}}")
        elif (
            rule.type == "at-rule" and "Font Awesome" not in rule.serialize() and "FontAwesome" not in rule.serialize()
        ):
            kept.append(rule.serialize())
    return "\n".join(kept)


def split_selectors(prelude: str) -> list[str]:
    """Selectors of a list; commas inside :is() and :not() do not part them."""
    return [part.strip() for part in re.split(r",(?![^(]*\))", prelude)]


def names(selector: str) -> set[str]:
    """Classes and ids that a selector asks for: none of those in :not() and :is()."""
    selector = re.sub(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)", "", selector)
    selector = re.sub(r"\[[^\]]*\]", "", selector)
    return {name.replace("\\", "") for name in re.findall(r"[.#]((?:[\w-]|\\.)+)", selector)}


def icon_rules(script: str, words: set[str]) -> str:
    """A rule with the shape of each icon of Font Awesome whose class a page or a script has."""
    shapes = {}
    for name, rest in re.findall(r"[\"']?([a-z0-9-]+)[\"']?:(\[\d+,\d+,\[[^\]]*\],\"[0-9a-f]+\",\"[^\"]+\"\])", script):
        if f"fa-{name}" in words:
            shapes.setdefault(name, []).append(json.loads(rest))
    rules = []
    for name, found in sorted(shapes.items()):
        # The same name may stand in the sets regular, solid and brands: the last is the solid one or the only one.
        width, height, _, _, path = found[-1]
        image = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height}'><path d='{path}'/></svg>"
        image = image.replace("<", "%3C").replace(">", "%3E").replace("#", "%23")
        rules.append(f'.fa-{name}{{--icon:url("data:image/svg+xml,{image}")}}')
    return "\n".join(rules) + "\n"


def add_explorer(site: Path, script: Path, models: Path) -> None:
    """Put the explorer and its models on the site, where they are there, and load it on the pages that ask for it."""
    if not script.exists():
        return
    shutil.copyfile(script, site / "_static" / "explorer.js")
    if models.is_dir():
        shutil.copytree(models, site / "models", ignore=shutil.ignore_patterns("*.reference.json"))
    for path in site.rglob("*.html"):
        text = path.read_text()
        if "data-explorer" in text:
            up = "../" * (len(path.relative_to(site).parts) - 1)
            tag = f'<script type="module" src="{up}_static/explorer.js"></script>\n'
            path.write_text(text.replace("</head>", f"{tag}</head>", 1))
