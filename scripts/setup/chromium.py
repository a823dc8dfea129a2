"""A Chromium for the tests: on PATH, from apt-get as root, or else from an npm package."""

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from scripts.setup.assets import node_bin, npm
from scripts.setup.environment import PYTHON, VENV, apt_install, digest, once
from scripts.setup.process import ROOT, SetupError, say

NAMES = ("chromium", "chromium-browser", "google-chrome")
PACKAGE = ROOT / "requirements" / "chromium"
UNPACKED = VENV / "chromium"


def draws_a_page(chromium: str | Path) -> bool:
    """Tell whether this Chromium starts here and draws a page with a script in it."""
    check = [PYTHON, Path(__file__).with_name("draw_page.py"), chromium]
    # Only the exit code counts: a Chromium that does not work is followed by the next.
    return subprocess.run(check, stderr=subprocess.DEVNULL, check=False).returncode == 0


def on_path() -> str | None:
    """Return the first Chromium on PATH that works; a name may be a stub that only advertises."""
    places = (shutil.which(name) for name in NAMES)
    return next((place for place in places if place and draws_a_page(place)), None)


def unpack() -> Path:
    """Unpack the npm package's Chromium into the environment and return its start script."""
    start = UNPACKED / "chromium"
    with once(UNPACKED / "unpacked", digest([PACKAGE / "package-lock.json"])) as due:
        if due:
            say("fetching Chromium from npm (about 70 MB)")
            npm(PACKAGE, "ci")
            packed = PACKAGE / "node_modules" / "@sparticuz" / "chromium" / "bin"
            shutil.rmtree(UNPACKED, ignore_errors=True)
            UNPACKED.mkdir(parents=True)
            decompress(packed / "chromium.br", UNPACKED / "chrome")
            (UNPACKED / "chrome").chmod(0o755)
            for name in ("al2023", "swiftshader", "fonts"):
                archive = UNPACKED / f"{name}.tar"
                decompress(packed / f"{name}.tar.br", archive)
                with tarfile.open(archive) as content:
                    # Chromium looks for SwiftShader beside itself.
                    folder = UNPACKED if name == "swiftshader" else UNPACKED / name
                    # The lock's hash vouches for it; Python 3.11.2 has no filter argument yet.
                    content.extractall(folder)  # noqa: S202
                archive.unlink()
            shutil.rmtree(PACKAGE / "node_modules")
            # The package brings the system libraries and fonts that a bare machine lacks.
            (UNPACKED / "fonts" / "fonts.conf").write_text(
                f"<fontconfig><dir>{UNPACKED}/fonts</dir><dir>/usr/share/fonts</dir>"
                f"<cachedir>{UNPACKED}/fonts-cache</cachedir></fontconfig>\n"
            )
            start.write_text(
                "#!/bin/sh\n"
                f"export LD_LIBRARY_PATH='{UNPACKED}/al2023/lib'\n"
                f"export FONTCONFIG_PATH='{UNPACKED}/fonts'\n"
                f"exec '{UNPACKED}/chrome' \"$@\"\n"
            )
            start.chmod(0o755)
    return start


def decompress(packed: Path, to: Path) -> None:
    """Undo Brotli, which Node.js knows and Python's standard library does not."""
    script = "process.stdin.pipe(zlib.createBrotliDecompress()).pipe(process.stdout)"
    with packed.open("rb") as source, to.open("wb") as target:
        node = [str(node_bin() / "node"), "-e", script]
        if subprocess.run(node, stdin=source, stdout=target, check=False).returncode != 0:
            raise SetupError(f"{packed.name} could not be unpacked: check that the disk has room")


def find_chromium() -> str:
    """Return a Chromium that works here, installing one where that is needed.

    Raises:
        SetupError: None could be had.
    """
    chosen = os.environ.get("KILOWATCH_CHROMIUM")
    if chosen:
        if draws_a_page(chosen):
            return chosen
        raise SetupError(f"KILOWATCH_CHROMIUM={chosen} does not draw a page: name one that does")
    found = on_path()
    if found:
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            apt_install("chromium")
        except SetupError as error:
            say(f"{error}; trying npm instead")
        found = on_path()
        if found:
            return found
    unpacked = unpack()
    if draws_a_page(unpacked):
        return str(unpacked)
    raise SetupError(
        "no Chromium draws a page here: ask your administrator to install one (on Debian: apt-get "
        "install chromium), or set KILOWATCH_CHROMIUM to its path, then run this again"
    )
