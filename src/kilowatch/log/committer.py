"""From a list of waiting packets to their outcomes: decide, commit, survive what fails."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

import apsw

from kilowatch.log.chores import Chores
from kilowatch.log.records import Outcome
from kilowatch.model.durations import Durations
from kilowatch.model.errors import KilowatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kilowatch.log.gate import Batch, Removal, Submission
    from kilowatch.log.ledger import Chore, Ledger

    Answers = list[tuple[Callable[[Outcome], None], Outcome]]

_log: Final = logging.getLogger(__name__)

# What is wrong with the place and not with a packet: every packet of the batch fails.
FAULTS: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.ConnectionClosedError,
    KilowatchError,  # the log could not be opened again
    OSError,
    MemoryError,
)
_DAMAGE: Final = (apsw.CorruptError, apsw.NotADBError)
_PASSING: Final = (apsw.FullError, apsw.BusyError, apsw.LockedError)


class Committer:
    """Commits batches to a ledger; one thread uses it.

    Attributes:
        fault: What stops the log from writing, or an empty string.
        upkeep_fault: What stops checkpoints or the dropping of segments, or an empty string.
        committed_ms: When something was last made durable [ms since 1970, UTC].
        took: How long commits took.
        packets: How many packets they made durable.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.fault = self.upkeep_fault = ""
        self.committed_ms = time.time_ns() // 1_000_000
        self.took = Durations()
        self.packets = 0

    def start(self) -> None:
        """Open the log. Where that fails for now (a full disk), later commits try again.

        Raises:
            KilowatchError: ``log_corrupt`` or ``log_version``: a person has to look.
        """
        try:
            self._ledger.open()
        except KilowatchError:
            raise
        except FAULTS as error:
            self._fail(error, [])

    def commit(
        self, waiting: Sequence[Submission | Removal], chores: Chores, *, all_due: bool
    ) -> Answers:
        """Commit packets, and the chores if they are due, in one transaction.

        If a packet itself is the fault (a bug: what reaches the log was validated), its
        neighbours are committed without it.

        Returns:
            One answer for each packet, in order. After a fault of disk or file they all
            say ``failed``, and the chores are due again.
        """
        due = chores.take() if all_due else Chores()
        try:
            batch = self._committed(waiting, [due.write] if due else [])
        except FAULTS as error:
            chores.put_back(due)
            return self._fail(error, waiting)
        except Exception:  # noqa: BLE001 - one packet must not stop its neighbours
            _log.exception("log: a batch of %d packets holds one that is not right", len(waiting))
            chores.put_back(due)
            answers = self._isolate(waiting, chores)
            if due and not self.fault:
                self._write_apart(chores.take().parts(), chores)
            return answers
        chores.count_duplicates(batch.duplicates)
        return batch.outcomes

    def _committed(self, waiting: Sequence[Submission | Removal], work: Sequence[Chore]) -> Batch:
        if self._ledger.connection is None:
            self._ledger.open()
        batch = self._ledger.batch()
        for submission in waiting:
            batch.decide(submission)
        if batch.writes or work:
            began_s = time.perf_counter()
            self._ledger.commit(batch, work)
            self.took.note(time.perf_counter() - began_s)
            self.packets += len(batch.entries)
            self.committed_ms = time.time_ns() // 1_000_000
            if self.fault:
                _log.warning("log: writing again after: %s", self.fault)
                self.fault = ""
        return batch

    def _isolate(self, waiting: Sequence[Submission | Removal], chores: Chores) -> Answers:
        """Commit each packet alone; the one that is not right fails alone."""
        answers: Answers = []
        for number, submission in enumerate(waiting):
            try:
                batch = self._committed([submission], [])
            except FAULTS as error:
                return [*answers, *self._fail(error, waiting[number:])]
            except Exception as error:  # noqa: BLE001 - logged with its batch
                answers.append((submission.done, Outcome("failed", reason=_words(error))))
            else:
                chores.count_duplicates(batch.duplicates)
                answers.extend(batch.outcomes)
        return answers

    def _write_apart(self, parts: Sequence[Chores], chores: Chores) -> None:
        """Write all chores but the one that can't be written: halve until it stands alone."""
        try:
            self._committed([], [part.write for part in parts])
        except FAULTS as error:
            for part in parts:
                chores.put_back(part)
            self._fail(error, [])
        except Exception:  # noqa: BLE001 - one tenant's must not cost the others theirs
            if len(parts) == 1:
                _log.exception("log: left out what can't be written: %.300r", parts[0])
                return
            middle = len(parts) // 2
            self._write_apart(parts[:middle], chores)
            self._write_apart(parts[middle:], chores)

    def attempt(self, work: Callable[[], bool]) -> None:
        """Do upkeep that nobody waits for: a fault is noted, and a later turn tries again.

        Args:
            work: Returns whether there was anything to do.
        """
        try:
            if self._ledger.connection is not None and work():
                self.upkeep_fault = ""
        except FAULTS as error:
            words = _words(error)
            if words != self.upkeep_fault:
                _log.warning("log: upkeep failed, packets are still taken: %s", words)
            self.upkeep_fault = words
            if isinstance(error, _DAMAGE):
                self._ledger.close()

    def _fail(self, error: BaseException, waiting: Sequence[Submission | Removal]) -> Answers:
        words = _words(error)
        if words != self.fault:
            _log.error("log: cannot write: %s", words)
        again, self.fault = bool(self.fault), words
        if not isinstance(error, _PASSING) and (again or not isinstance(error, apsw.IOError)):
            # On the same connection the next commit writes over what this one left behind.
            # If that fails too, the file is opened anew, and the gate is read from it: a
            # commit whose fsync failed may be in it all the same.
            self._ledger.close()
        return [(one.done, Outcome("failed", reason=words)) for one in waiting]


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
