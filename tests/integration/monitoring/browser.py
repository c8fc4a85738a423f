"""A headless Chromium, if the machine has one, and what a page said while it was open."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import ConsoleMessage, Page, async_playwright

MISSING: Final = "No Chromium was found: install Debian's `chromium` (.ci/run does) to test the page in a browser."
_PATH: Final = Path("/usr/bin/chromium")
_ARGUMENTS: Final = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def chromium_path() -> str | None:
    """Where Chromium is, or None."""
    return str(_PATH) if _PATH.exists() else shutil.which("chromium")


class Watch:
    """A page and its complaints."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))

    async def text(self, selector: str) -> str:
        return (await self.page.inner_text(selector)).strip()

    async def until(self, selector: str, text: str) -> None:
        """Wait until the element says exactly `text`; fails after some seconds."""
        await self.page.wait_for_function(
            "([selector, text]) => document.querySelector(selector).innerText.trim() === text",
            arg=[selector, text],
            timeout=15_000,
        )

    async def drawn(self, chart: str, text: str) -> None:
        """Wait until the chart's description contains `text`; a curve shows a point once its five seconds are over."""
        await self.page.wait_for_selector(f'{chart} svg[aria-label*="{text}"]', timeout=15_000)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@asynccontextmanager
async def watching(
    executable: str, url: str, *, scheme: Literal["light", "dark"] = "light", width: int = 1280, height: int = 900
) -> AsyncIterator[Watch]:
    """The page at `url`, open in a browser of its own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=_ARGUMENTS)
        page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": height})
        watch = Watch(page)
        await page.goto(url)
        try:
            yield watch
        finally:
            await browser.close()
