"""Draw figures/explorer.png, the README's picture of the explorer: the built site's page as a browser shows it."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FIGURE = ROOT / "figures" / "explorer.png"
SITE = ROOT / "build" / "site"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and logs nothing."""

    def log_message(self, *arguments) -> None:
        """Say nothing."""


def main() -> None:
    if not (SITE / "explorer.html").exists():
        raise SystemExit(f"There is no {SITE / 'explorer.html'}. Build the site first: make site.")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        # So tall that nothing is scrolled: what the site puts over a page would cover the explorer.
        page = browser.new_page(viewport={"width": 1100, "height": 1600})
        # "A held-out digit" takes the first one.
        page.add_init_script("Math.random = () => 0")
        page.goto(f"http://127.0.0.1:{server.server_port}/explorer.html")
        explorer = page.locator("[data-explorer][data-ready]")
        explorer.get_by_role("button", name="A held-out digit").click()
        explorer.get_by_label("Shade the gaps").check()
        # The pointer away from all buttons, and time for what moves.
        page.mouse.move(0, 0)
        page.wait_for_timeout(1000)
        explorer.screenshot(path=FIGURE)
        browser.close()
    server.shutdown()
    # A quarter of the size, and the eye sees no difference.
    Image.open(FIGURE).convert("RGB").quantize(128).save(FIGURE, optimize=True)


if __name__ == "__main__":
    main()
