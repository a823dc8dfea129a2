"""Options that commands share and that need nothing else: a short command loads little."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[
    Path, typer.Option("--data", help="The data folder.", envvar="KILOWATCH_DATA", metavar="DIR")
]
