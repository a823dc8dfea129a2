"""Take pictures of a running dashboard, wide and narrow, light and dark.

Starts nothing itself: give it the address of a dashboard and an account, for example that of
``make demo``. The password comes from ``--password`` or the variable KILOWATCH_PASSWORD.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
THEMES = ("light", "dark")
CHROMIUM_FLAGS = (
    *("--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
WAIT_MS = 20_000
PAGES = (
    "login", "home", "sentinel", "event", "waste", "forecast", "glossary", "breakdown",
    "attributes", "site",
)  # fmt: skip
INSIGHTS = ("home", "sentinel", "waste", "forecast", "glossary")
"""Pages of the whole estate, by the word of their address."""


def main() -> None:
    """Take every picture that was asked for."""
    asked = _arguments()
    chromium = _chromium()
    asked.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=list(CHROMIUM_FLAGS),
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses its sandbox to root
        )
        for size in asked.sizes:
            for theme in asked.themes:
                for path in _take(browser, asked, size, theme):
                    print(path)
        browser.close()


def _chromium() -> str:
    names = (os.environ.get("KILOWATCH_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    for name in names:
        if name and (path := shutil.which(name)):
            return path
    raise SystemExit("No Chromium on PATH: set KILOWATCH_CHROMIUM to one.")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url", required=True, type=lambda url: url.rstrip("/"), help="address of the dashboard"
    )
    parser.add_argument("--user", required=True, help="e-mail address of the account")
    parser.add_argument("--password", default=os.environ.get("KILOWATCH_PASSWORD", ""))
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--point", help="number of the data point; else the first fresh one")
    parser.add_argument("--query", default=urlencode({"period": "day"}), help="of Breakdown")
    parser.add_argument("--pages", nargs="+", default=list(PAGES))
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=list(THEMES))
    parser.add_argument("--full", action="store_true", help="the whole page, not one screen")
    return parser.parse_args()


def _take(browser: Browser, asked: argparse.Namespace, size: str, theme: str) -> list[Path]:
    width, height = SIZES[size]
    context = browser.new_context(
        viewport={"width": width, "height": height},
        device_scale_factor=2 if size == "phone" else 1,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-IE",
        ignore_https_errors=True,  # a first start makes its own certificate
    )
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    taken = []

    def shoot(name: str) -> None:
        path = asked.out / f"{name}-{size}-{theme}.png"
        page.screenshot(path=path, full_page=asked.full)
        taken.append(path)

    page.goto(f"{asked.url}/login")
    if "login" in asked.pages:
        shoot("login")
    page.fill("#email", asked.user)
    page.fill("#password", asked.password)
    page.click("button[type=submit]")
    page.wait_for_selector("#tree", state="attached")
    point = asked.point or _first_fresh(page)
    if "breakdown" in asked.pages:
        page.goto(f"{asked.url}/breakdown/{point}?{asked.query}")
        page.wait_for_selector("#breakdown[data-ready]")
        page.wait_for_timeout(300)
        shoot("breakdown")
    if "attributes" in asked.pages:
        page.goto(f"{asked.url}/attributes/{point}")
        page.wait_for_selector("html[data-live=on]")
        page.wait_for_timeout(500)
        shoot("attributes")
    for name in INSIGHTS:
        if name in asked.pages:
            page.goto(f"{asked.url}/{'' if name == 'home' else name}")
            page.wait_for_timeout(800)
            shoot(name)
    if "event" in asked.pages:
        page.goto(f"{asked.url}/sentinel?days=365")
        first = page.locator(".event-head").first
        if first.count():
            first.click()
            page.wait_for_selector("#event[data-ready]")
            page.wait_for_timeout(300)
            shoot("event")
    if "site" in asked.pages:
        page.goto(f"{asked.url}{_first_site(page)}")
        page.wait_for_timeout(800)
        shoot("site")
    context.close()
    return taken


def _first_site(page: Page) -> str:
    """Return the address of the first site in the tree."""
    link = page.locator('#tree a[href^="/site/"]').first
    return (link.get_attribute("href") or "/") if link.count() else "/"


def _first_fresh(page: Page) -> str:
    """Return the number of the first data point with fresh data, electricity before others."""
    for wanted in (
        ".leaf:has(.dot.fresh):has(.electricity) a",
        ".leaf:has(.dot.fresh) a",
        ".leaf a",
    ):
        link = page.locator(f"#tree {wanted}").first
        if link.count():
            return (link.get_attribute("href") or "").rsplit("/", 1)[-1]
    raise SystemExit("This account sees no data point.")


if __name__ == "__main__":
    main()
