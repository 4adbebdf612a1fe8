"""The pages of the site in a browser: search, dark mode, phones, keys, and what a screen reader finds."""

import re
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "build" / "site"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
NOTEBOOK = "notebooks/02_variational_autoencoder.html"
KINDS = ["index.html", "explorer.html", NOTEBOOK, "api/vae.html", "results.html", "search.html?q=reparameterisation"]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page):
    """What axe-core finds against WCAG A and AA: rule, element, and what it says."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = axe.run(
        page, options={"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"], "preload": False}
    )
    return [
        f"{rule['id']}: {node['html'][:160]} {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in found.response["violations"]
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_nothing(site, new_page, name, scheme):
    page = new_page(color_scheme=scheme)
    page.goto(f"{site}/{name}")
    assert page.locator("html").get_attribute("data-theme") == scheme
    if "search" in name:
        page.locator("#search-results li").first.wait_for()
    if page.locator("[data-explorer]").count():
        page.wait_for_selector("[data-ready]")
    assert not violations(page)


def test_search_finds_reparameterisation(site, new_page):
    page = new_page()
    page.goto(site)
    page.keyboard.press("Control+k")
    page.keyboard.type("reparameterisation")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=reparameterisation*")
    found = page.locator("#search-results li a", has_text="The variational autoencoder").first
    found.click()
    page.wait_for_url("**/notebooks/02_variational_autoencoder.html*")


def test_no_page_scrolls_sideways_on_a_phone(site, new_page):
    page = new_page(width=390, height=844)
    wide = {}
    for name in PAGES:
        page.goto(f"{site}/{name}")
        width = page.evaluate("document.scrollingElement.scrollWidth")
        if width > 390:
            wide[name] = width
    assert PAGES and not wide


def test_code_of_120_columns_fits_beside_the_contents(site, new_page):
    page = new_page(width=1280)
    page.goto(f"{site}/{NOTEBOOK}")
    room = page.evaluate("""() => {
        const code = document.querySelector(".cell_input pre"), style = getComputedStyle(code);
        const letters = document.createElement("span");
        letters.textContent = "m".repeat(120);
        code.append(letters);
        const width = letters.getBoundingClientRect().width;
        return code.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - width;
    }""")
    assert room >= 0


def test_what_is_wide_scrolls_by_keyboard_in_its_own_box(site, new_page):
    page = new_page(width=390, height=844)
    page.goto(f"{site}/{NOTEBOOK}")
    page.wait_for_selector("[data-ready]")
    page.evaluate("document.fonts.ready")
    page.wait_for_timeout(500)
    boxes = page.evaluate("""() => [...document.querySelectorAll("pre, .table-box, div.math")]
        .filter(box => box.scrollWidth > box.clientWidth + 1)
        .map(box => [box.tabIndex, getComputedStyle(box).overflowX])""")
    assert len(boxes) > 10
    assert {tuple(box) for box in boxes} == {(0, "auto")}
    box = page.locator(".cell_input pre[tabindex='0']").first
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.activeElement.scrollLeft > 0")


def test_dark_mode_is_kept(site, new_page):
    page = new_page()
    page.goto(site)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    toggle = page.locator(".theme-switch-button:visible")
    for _ in range(3):
        if page.locator("html").get_attribute("data-theme") == "dark":
            break
        toggle.click()
        choice = page.locator("[data-mode='dark']:visible")
        if page.locator("html").get_attribute("data-theme") != "dark" and choice.count():
            choice.first.click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate(background) != light
    page.goto(f"{site}/results.html")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_the_contents_of_book_and_page_open_on_a_phone(site, new_page):
    page = new_page(width=390, height=844)
    page.goto(f"{site}/{NOTEBOOK}")
    page.locator(".secondary-toggle:visible").click()
    page.locator("#pst-secondary-sidebar-modal a", has_text="What beta does").click()
    page.wait_for_function("location.hash && scrollY > 1000")
    page.goto(f"{site}/{NOTEBOOK}")
    page.locator(".primary-toggle:visible").click()
    page.locator("#pst-primary-sidebar-modal a", has_text="Results").click()
    page.wait_for_url("**/results.html")


def test_formulas_are_drawn(site, new_page):
    page = new_page()
    page.goto(f"{site}/{NOTEBOOK}")
    page.wait_for_selector(".katex")
    assert page.locator(".katex-error").count() == 0
    undrawn = page.evaluate(
        """() => [...document.querySelectorAll(".math")].filter(m => !m.querySelector(".katex")).length"""
    )
    assert undrawn == 0
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px KaTeX_Math'))")


def test_a_figure_opens_in_full_size(site, new_page):
    # A picture has no icon; the browser asks for one.
    page = new_page(width=390, height=844, expected_errors=["favicon.ico"])
    page.goto(f"{site}/{NOTEBOOK}")
    figure = page.locator("a.figure img").nth(2)
    figure.scroll_into_view_if_needed()
    shown = figure.bounding_box()
    assert shown["width"] <= 390 and abs(shown["width"] / shown["height"] - 1) < 0.2
    figure.click()
    page.wait_for_url(re.compile(r"/pictures/\w+\.webp$"))
    assert page.evaluate("document.images[0].naturalWidth") > 600


def test_every_picture_is_there(site, new_page):
    page = new_page()
    for name in ("index.html", NOTEBOOK, "results.html"):
        page.goto(f"{site}/{name}")
        page.evaluate("[...document.images].forEach(image => image.loading = 'eager')")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        assert page.evaluate("[...document.images].filter(image => !image.naturalWidth).map(image => image.src)") == []


def test_icons_have_a_shape(site, new_page):
    page = new_page(width=390, height=844)
    page.goto(f"{site}/{NOTEBOOK}")
    shapes = page.evaluate("""() => [...document.querySelectorAll("i, span")]
        .filter(icon => /\\bfa-(?!solid|regular|brands|lg|fw)/.test(icon.className))
        .map(icon => [icon.className, getComputedStyle(icon).maskImage])""")
    assert len(shapes) > 4
    assert [name for name, shape in shapes if not shape.startswith("url")] == []


def test_without_javascript_the_still_pictures_stay(site, new_page):
    page = new_page(java_script=False)
    for name in ("", "explorer.html"):
        page.goto(f"{site}/{name}")
        assert page.locator("[data-explorer] img").is_visible()
