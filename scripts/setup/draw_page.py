"""Exit with 0 if the Chromium named by the argument draws a page, driven as the tests drive it."""

import os
import sys

from playwright.sync_api import Error, sync_playwright

with sync_playwright() as playwright:
    try:
        browser = playwright.chromium.launch(
            executable_path=sys.argv[1],
            chromium_sandbox=os.geteuid() != 0,  # Chromium refuses its sandbox to root
            timeout=60_000,
        )
        page = browser.new_page()
        page.set_content("<h1>Drawn</h1><script>document.title = 6 * 7</script>")
        page.screenshot()
        drawn = page.title() == "42"
        browser.close()
    except Error as error:
        print(error, file=sys.stderr)
        drawn = False
sys.exit(0 if drawn else 1)
