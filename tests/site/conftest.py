"""A browser, the built site, and a folder of small models of which Keras' own answers are known."""

import shutil
from urllib.parse import urlsplit

import pytest
from explorer_pages import SECONDS, SITE, serve, without, write_models, write_page


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium, driven by playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without("playwright is not installed: pip install -e '.[browser]' -c constraints.txt, or make test-site")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if not chromium:
        without("No chromium on the PATH: apt-get install --no-install-recommends chromium")
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site():
    """The address of the built site."""
    if not (SITE / "index.html").exists():
        without(f"{SITE} is not built: make site")
    yield from serve(SITE)


@pytest.fixture
def new_page(browser):
    """Open pages; at the end the test fails for an error on one, and for a request to another host."""
    contexts, wrong = [], []

    def watched(kind, text, expected):
        if not any(part in text for part in expected):
            wrong.append(f"{kind}: {text}")

    def open_page(width=1280, height=900, color_scheme="light", java_script=True, expected_errors=(), **options):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=color_scheme,
            java_script_enabled=java_script,
            **options,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(1000 * SECONDS)

        def on_console(message):
            if message.type == "error":
                watched("console", f"{message.text} {message.location.get('url', '')}", expected_errors)

        def on_request(request):
            address = urlsplit(request.url)
            if address.scheme not in ("data", "blob", "about") and address.hostname not in ("127.0.0.1", "localhost"):
                wrong.append(f"request to another host: {request.url}")

        page.on("console", on_console)
        page.on("pageerror", lambda error: watched("page error", str(error), expected_errors))
        page.on("request", on_request)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="session")
def explorer_folder(tmp_path_factory):
    """A folder with a page and small models; a test that breaks a file takes a copy."""
    folder = tmp_path_factory.mktemp("explorer")
    write_models(folder / "models")
    write_page(folder)
    write_page(folder, "compact.html", " data-compact")
    (folder / "empty.html").write_text(
        '<!doctype html><html lang="en"><title>Empty</title><link rel="icon" href="data:,">'
    )
    return folder


@pytest.fixture(scope="session")
def explorer_site(explorer_folder):
    """The address of that folder."""
    yield from serve(explorer_folder)


@pytest.fixture
def explorer_page(new_page, explorer_site):
    """Open the page with the explorer and wait until it can be used."""

    def open_page(path="", **options):
        page = new_page(**options)
        page.goto(f"{explorer_site}/{path}")
        page.wait_for_selector("[data-ready]")
        return page

    return open_page


@pytest.fixture
def call(new_page, explorer_site):
    """Call code with the functions of explorer.js as `module` and one value."""
    page = new_page()
    page.goto(f"{explorer_site}/empty.html")

    def run(code, value=None):
        return page.evaluate(f"async (value) => {{ const module = await import('/explorer.js'); {code} }}", value)

    return run
