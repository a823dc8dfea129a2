"""What a page's script imports stands in the page, so that a browser fetches it at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kilowatch.dashboard.app import STATIC
from kilowatch.dashboard.module_graph import Modules

TAG = re.compile(r'<link rel="modulepreload" href="/static/js/([^"]+)">')
NAMED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*["'](\.[^"']+)["']""")


def test_every_import_of_every_script_is_found() -> None:
    """However an import is written, it is preloaded, and what it imports too."""
    scripts = STATIC / "js"
    modules = Modules(scripts, "/static/js")
    read = 0
    for file in scripts.rglob("*.js"):
        entry = file.relative_to(scripts).as_posix()
        known = {scripts / path for path in modules.imports(entry)}
        for named in NAMED.findall(file.read_text(encoding="utf-8")):
            assert (file.parent / named).resolve() in known, f"{entry} imports {named}"
            read += 1
    assert read > 100, "no imports were found to compare with"


def test_a_module_comes_after_what_it_imports(tmp_path: Path) -> None:
    """Each import has one tag, over folders and in a circle; the module itself comes last."""
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "one.js").write_text(
        'import "./two.js";\nimport {\n  a,\n} from "../b.js";\n'
    )
    (tmp_path / "page" / "two.js").write_text('import { a } from "../b.js";\n')
    (tmp_path / "b.js").write_text('export { c } from "./page/one.js";\n// import "./no.js";\n')
    text = str(Modules(tmp_path, "/static/js").script("page/one.js"))
    assert TAG.findall(text) == ["page/two.js", "b.js"]
    assert text.endswith('<script type="module" src="/static/js/page/one.js"></script>')


def test_a_script_that_is_not_there_is_not_linked(tmp_path: Path) -> None:
    """A page that names a missing script fails when it is made, not silently in the browser."""
    with pytest.raises(FileNotFoundError):
        Modules(tmp_path, "/static/js").script("gone.js")
