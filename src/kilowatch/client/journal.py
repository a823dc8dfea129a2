"""How far the push of a file has come, so that it can go on after anything.

One JSON line for each final answer, appended as the answer comes: what has no line here has
no answer, and is pushed again. At most one packet of each stream is under way, so that the
server knows a packet that is pushed twice as a duplicate.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from kilowatch.client.answers import Answer, Outcome
from kilowatch.client.source import Line

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Refusal:
    """A line that will never be stored as it is."""

    line: int
    stream_id: str
    code: str
    detail: str


@dataclass(slots=True)
class Summary:
    """What has become of a file, earlier runs included.

    Attributes:
        counts: Packets by outcome.
        refused: Refused lines with their reasons.
        ignored: Parameters that are not in the contract, with how often they came.
        resumed: Lines that an earlier run had finished.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    resumed: int = 0


def digest_of(path: Path) -> tuple[str, int]:
    """Return a digest of a file's content, and how many lines it has."""
    digest = hashlib.blake2b(digest_size=16)
    lines = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            lines += chunk.count(b"\n")
    return digest.hexdigest(), lines


class Journal:
    """The final answers to one file's packets at one server, appended to a file.

    Args:
        path: The journal; begun when it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.summary = Summary()
        self._last: dict[str, int] = {}
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.exists():
            self._load(path)
        self._file = path.open("a", encoding="utf-8")

    @staticmethod
    def place(folder: Path, digest: str, target: str) -> Path:
        """Return where the journal of a file (by its digest) and a target is kept."""
        key = hashlib.blake2b(f"{digest} {target}".encode(), digest_size=12).hexdigest()
        return folder / f"{key}.jsonl"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def finished(self, line: Line) -> bool:
        """Tell whether a line got its final answer already."""
        return line.number <= self._last.get(line.stream_id, 0)

    def add(self, line: Line, answer: Answer) -> None:
        """Keep a final answer; it outlives the process from here on."""
        record: list[object] = [line.number, line.stream_id, answer.outcome.value]
        if answer.outcome is Outcome.REFUSED or answer.ignored:
            record += [answer.code, answer.detail, list(answer.ignored)]
        self._count(record)
        self._file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self._file.flush()

    def _load(self, path: Path) -> None:
        whole = path.read_text(encoding="utf-8")
        end = whole.rfind("\n") + 1
        for text in whole[:end].splitlines():
            self._count(json.loads(text))
            self.summary.resumed += 1
        if end < len(whole):  # the last line is torn: it was being written at a power cut
            path.write_text(whole[:end], encoding="utf-8")

    def _count(self, record: list[object]) -> None:
        line, stream_id, outcome, *more = record
        assert isinstance(line, int)
        self._last[str(stream_id)] = line
        self.summary.counts[str(outcome)] += 1
        if more:
            code, detail, ignored = more
            assert isinstance(ignored, list)
            self.summary.ignored.update(map(str, ignored))
            if outcome == Outcome.REFUSED.value:
                self.summary.refused.append(Refusal(line, str(stream_id), str(code), str(detail)))
