"""What is made once for a whole run instead of once for each test: an empty catalogue, and cost.

A test's own catalogue took longer to make than most tests take to run: the migrations cost 0.1 s
and a flush to disk for every step, a person's password 30 ms. Neither is what those tests prove.
Who does prove it asks for ``the_real_cost_of_passwords`` or starts the program.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import argon2
import pytest

FILE_URL = "sqlite:///"
# Not the smallest that there is: a test calls that one outdated.
CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=16, parallelism=1)


def copy_new_catalogues(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let each new catalogue of this process be a copy of one that the migrations have made.

    Args:
        patch: Takes it back.
        folder: Where the one is kept.
    """
    # Only where a collected test knows the catalogue: importing it costs half a second.
    database = sys.modules.get("kilowatch.catalog.database")
    if database is None:
        return
    made = folder / "empty.sqlite"
    bring_up_to_date = database._bring_up_to_date

    def copied(url: str) -> None:
        path = Path(url.removeprefix(FILE_URL))
        if url.startswith(FILE_URL) and path.stat().st_size == 0:
            if not made.exists():
                bring_up_to_date(f"{FILE_URL}{made}")
            shutil.copyfile(made, path)  # the content alone: its owner's permissions are tested
        bring_up_to_date(url)

    patch.setattr(database, "_bring_up_to_date", copied)


def hash_cheaply(patch: pytest.MonkeyPatch) -> None:
    """Let a person's password cost microseconds; ``patch`` takes it back."""
    secrets = sys.modules.get("kilowatch.catalog.secrets")
    if secrets is not None:
        patch.setattr(secrets, "_HASHER", CHEAP)
        patch.setattr(secrets, "_NOBODY", CHEAP.hash("nobody"))


def hash_for_real(patch: pytest.MonkeyPatch) -> None:
    """Hash passwords as the program does, until ``patch`` takes it back."""
    from kilowatch.catalog import secrets  # noqa: PLC0415 - see copy_new_catalogues

    source = importlib.util.find_spec(secrets.__name__)
    assert source is not None
    assert source.loader is not None
    unchanged = importlib.util.module_from_spec(source)
    source.loader.exec_module(unchanged)
    patch.setattr(secrets, "_HASHER", unchanged._HASHER)
    patch.setattr(secrets, "_NOBODY", unchanged._NOBODY)
