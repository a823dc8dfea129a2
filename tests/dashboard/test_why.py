"""Where a number comes from: the part that any page of the server can use."""

from __future__ import annotations

import jinja2

from kilowatch.dashboard.app import HERE
from kilowatch.dashboard.words import t


def test_a_page_says_behind_a_button_where_a_figure_comes_from() -> None:
    """The macro gives a button with a name of its own; what is empty is left out; text is text."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals["t"] = t
    page = environment.from_string(
        '{% from "why.html" import why, told with context %}'
        '{% call why("Waste <b>") %}{{ told("Days", "1 May") }}{{ told("Price", "") }}{% endcall %}'
    ).render()
    assert 'aria-label="Where Waste &lt;b&gt; comes from"' in page
    assert "<template><dl><dt>Days</dt><dd>1 May</dd></dl></template>" in page
    assert "Price" not in page
