"""What a page's script imports, told to the browser at once instead of wave by wave.

A browser learns of a module's imports when it has read the module, and of theirs when it has read
those: four round trips before Breakdown asked for its first number. ``<link rel="modulepreload">``
for all of them lets it fetch them side by side (HTML, 4.6.7.10).
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path, PurePosixPath

from markupsafe import Markup

IMPORT = re.compile(
    r"""^(?:import|export|\})[^"'`;]*?["'](\.{1,2}/[^"']+\.js)["'];?""", re.MULTILINE
)
"""An import or a re-export by relative path, as all of ours are written."""


class Modules:
    """Writes a page's ES modules into its HTML: what they import, and themselves.

    Args:
        folder: Where the scripts are; they do not change while the program runs.
        address: Address of that folder.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder
        self._address = address
        self._imported = lru_cache(maxsize=None)(self._imports_of)

    def script(self, entry: str) -> Markup:
        """Return the tags that fetch a module and all that it imports.

        Args:
            entry: Path of the module in the folder, such as ``breakdown/page.js``.

        Raises:
            FileNotFoundError: If it, or one of its imports, is not there.
        """
        links = [
            Markup('<link rel="modulepreload" href="{}/{}">').format(self._address, path)
            for path in self.imports(entry)
        ]
        own = Markup('<script type="module" src="{}/{}"></script>').format(self._address, entry)
        return Markup("").join([*links, own])

    def imports(self, entry: str) -> list[str]:
        """Return what a module imports, near ones first, without itself."""
        found = {entry: None}
        waiting = [entry]
        for path in waiting:
            new = [one for one in self._imported(path) if one not in found]
            found |= dict.fromkeys(new)
            waiting += new
        return [path for path in found if path != entry]

    def _imports_of(self, path: str) -> list[str]:
        text = (self._folder / path).read_text(encoding="utf-8")
        return [_joined(path, one) for one in IMPORT.findall(text)]


def _joined(path: str, relative: str) -> str:
    """Return the path of an import, seen from the folder of scripts."""
    parts: list[str] = []
    for part in (PurePosixPath(path).parent / relative).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
