"""How Sphinx draws the site. scripts/build_site.py writes what it reads, and trims what it writes."""

import inspect
import re

from sphinx.util.inspect import stringify_signature

project = "vae-keras"
author = "the authors of vae-keras"
html_title = "vae-keras"
html_show_copyright = False
html_show_sphinx = False
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib.katex",
    "sphinx_copybutton",
    "sphinx_design",
]

# The notebooks are shown as they are stored.
nb_execution_mode = "off"
# Scripts for widgets would come from another host.
nb_ipywidgets_js = {}
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
templates_path = ["_templates"]
exclude_patterns = ["extra"]
html_extra_path = ["../build/site-source/extra"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_context = {"default_mode": "auto"}
html_copy_source = False
html_domain_indices = False
html_use_index = False
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "home_page_in_toc": False,
    "collapse_navbar": True,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "logo": {"text": "vae-keras"},
}

# KaTeX comes with the extension, its style and fonts from _static.
katex_css_path = "katex/katex.min.css"

# Blocks without a language are formulas and commands.
highlight_language = "none"

# Backticks in docstrings are code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"inherited-members": False}
add_module_names = False
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False
# A colon in the first line of "Returns:" is one of the sentence: what stands before it is no type.
napoleon_custom_sections = ["Returns"]
napoleon_use_ivar = True


def readable(app, what, name, obj, options, lines: list[str]) -> None:
    """Let formulas of docstrings be what they are in the source: indented blocks stay as they are, | is no mark-up."""
    for number in range(len(lines) - 2):
        indent = len(lines[number]) - len(lines[number].lstrip())
        if lines[number].endswith(":") and not lines[number + 1] and lines[number + 2].startswith(" " * (indent + 4)):
            lines[number] += ":"
    parts = "\n".join(lines).split("`")
    parts[::2] = [re.sub(r"\|(?=\w)", r"\\|", part) for part in parts[::2]]
    lines[:] = "`".join(parts).split("\n")


def of_constructor(app, what, name, obj, options, signature, returns):
    """The arguments of a class are those of its constructor; Keras hides them behind its own."""
    if what != "class" or not inspect.isfunction(obj.__init__):
        return None
    constructor = inspect.signature(obj.__init__)
    shown = constructor.replace(parameters=list(constructor.parameters.values())[1:])
    return re.sub(r"<function (\w+)>", r"\1", stringify_signature(shown, unqualified_typehints=True)), None


def setup(app) -> None:
    """Connect the two above."""
    app.connect("autodoc-process-signature", of_constructor)
    # Before napoleon.
    app.connect("autodoc-process-docstring", readable, priority=400)
