"""The virtual environment: made once, and filled again only when a lock file changes."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import which

from scripts.setup.process import ROOT, SetupError, run, say

VENV = Path(os.environ.get("KILOWATCH_VENV") or ROOT / ".venv").resolve()
PYTHON = VENV / "bin" / "python"
DIST = ROOT / "dist"


def program(name: str) -> Path:
    """Return a program of the environment."""
    return VENV / "bin" / name


@contextlib.contextmanager
def set_up_alone() -> Iterator[None]:
    """Keep two runs in one folder from filling the same environment at the same time."""
    with (ROOT / "pyproject.toml").open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another set-up in this folder to finish")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def digest(files: Iterable[Path]) -> str:
    """Return one hash over names and contents, which changes when any of the files does."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(f"{file.relative_to(ROOT)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


@contextlib.contextmanager
def once(stamp: Path, state: str) -> Iterator[bool]:
    """Yield whether work is due for this state, and remember it when the work succeeds."""
    due = not stamp.is_file() or stamp.read_text() != state
    if due:
        stamp.unlink(missing_ok=True)
    yield due
    if due:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(state)


def make_venv() -> None:
    """Create the environment, or create it anew where its Python has gone."""
    if PYTHON.exists() and subprocess.run([PYTHON, "-c", ""], check=False).returncode == 0:
        return
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    say(f"making {VENV} with Python {version}")
    debian = which("apt-get") and os.geteuid() == 0
    if (
        subprocess.run([sys.executable, "-c", "import ensurepip"], check=False).returncode
        and debian
    ):
        # Debian keeps venv's heart in a package of its own.
        apt_install(f"python{version}-venv")
    run(
        [sys.executable, "-m", "venv", "--clear", str(VENV)],
        f"could not create {VENV}: install Python's venv module (on Debian and Ubuntu the package "
        f"python{version}-venv) and check that the folder is writable, then run this again",
    )


def apt_install(package: str) -> None:
    """Install a Debian package; only root can."""
    say(f"installing {package} with apt-get")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    advice = f"apt-get could not install {package}: check the network and /etc/apt/sources.list"
    run(["apt-get", "update", "-qq"], advice, env=quiet)
    run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], advice, env=quiet)


def install(*locks: str) -> None:
    """Install what the lock files pin, checked by hash; does nothing when they did not change."""
    for lock in locks:
        file = ROOT / "requirements" / f"{lock}.txt"
        with once(VENV / f"installed-{lock}", digest([file])) as due:
            if due:
                say(f"installing requirements/{lock}.txt")
                run(
                    [
                        *(PYTHON, "-m", "pip", "install", "--quiet"),
                        *("--disable-pip-version-check", "--no-input", "--require-hashes"),
                        *("--requirement", file),
                    ],
                    f"pip could not install requirements/{lock}.txt: check the network and that "
                    "this platform has wheels for it (see the lines above), then run this again",
                )


def build_wheel() -> Path:
    """Build the wheel into dist/ and return it."""
    say("building the wheel")
    for old in DIST.glob("kilowatch-*.whl"):
        old.unlink()
    run(
        [PYTHON, "-m", "hatchling", "build", "--target", "wheel", "--directory", DIST],
        "the wheel could not be built: see hatchling's message above",
    )
    wheels = list(DIST.glob("kilowatch-*.whl"))
    if len(wheels) != 1:
        raise SetupError(f"expected one wheel in {DIST}, found {len(wheels)}: remove them")
    return wheels[0]


def install_wheel(*, always: bool) -> None:
    """Build and install the package itself; skipped when its sources did not change.

    Args:
        always: Build and install even so, as the tests do.
    """
    sources = [
        file
        for file in (ROOT / "src").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    ]
    state = digest([*sources, ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"])
    stamp = VENV / "installed-kilowatch"
    if always:
        stamp.unlink(missing_ok=True)
    with once(stamp, state) as due:
        if due:
            started = time.monotonic()
            wheel = build_wheel()
            # Its dependencies came with hashes before; pip refuses hashes for a local file.
            run(
                [
                    *(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
                    *("--no-deps", "--no-index", "--force-reinstall", wheel),
                ],
                f"pip could not install {wheel.name}: see its message above",
            )
            say(f"installed {wheel.name} in {time.monotonic() - started:.0f} s")
