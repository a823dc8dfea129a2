"""What a person does about a finding: apply its remedy, dismiss it, take the dismissal back.

A finding says what to change as data (``{"setting": "interval_s", "value": 900}``). What is applied
is what the person saw: when the finding has moved on meanwhile, nothing is changed and the page
says so. A registration that was wrong was always wrong: a remedy holds for all time, and the
history says who applied it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from kilowatch.catalog import judgements, point_settings
from kilowatch.catalog.changes import Change
from kilowatch.catalog.histories import COLUMNS
from kilowatch.catalog.rights import may
from kilowatch.catalog.tables import DataPoint as Row
from kilowatch.dashboard.access import Door, posts_about_point
from kilowatch.dashboard.asking import actor_of
from kilowatch.dashboard.dated_form import setting_text
from kilowatch.dashboard.rooms import point_of, rooms_of, visit_of
from kilowatch.dashboard.words import catalogue, t
from kilowatch.model.errors import KilowatchError
from kilowatch.model.findings import Finding
from kilowatch.model.points import DataPoint

_NEEDS_FIGURES = frozenset(
    {
        "register.fell", "editing.failed", "meter.sum_exceeded", "interval.demand_implausible",
        "interval.spike", "interval.zero_for_long", "interval.negative",
    }
)  # fmt: skip
"""What a person decides with the figures before them: on the page of the data's quality."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A finding as the page shows it.

    Attributes:
        code: The finding's.
        text: What is wrong, in one sentence.
        setting: What the remedy changes, or an empty string where a person has to think.
        value: To what, as the form sends it back.
        label: The button's words.
        mark: By which its dismissal is known again; empty where it can't be dismissed.
        look: Where a person goes on: ``quality``, ``site`` or ``conflicts``; or empty.
    """

    code: str
    text: str
    setting: str = ""
    value: str = ""
    label: str = ""
    mark: str = ""
    look: str = ""


def offer_of(finding: Finding) -> Offer:
    """Return how a finding is shown, with its remedy if it carries one."""
    remedy: Mapping[str, Any] = finding.data.get("remedy") or {}
    setting, value = str(remedy.get("setting", "")), remedy.get("value")
    mark = str(finding.data.get("mark", ""))
    if setting not in point_settings.FIELDS or f"remedy.{setting}" not in catalogue():
        return Offer(finding.code, finding.text, mark=mark, look=_look(finding))
    name = t(f"remedy.{setting}")
    label = t("remedy.change", setting=name, value=setting_text(setting, value))
    return Offer(finding.code, finding.text, setting, str(value), label, mark)


def _look(finding: Finding) -> str:
    if finding.code in _NEEDS_FIGURES:
        return "quality"
    return {"clock.does_not_fit": "site", "backfill.conflict": "conflicts"}.get(finding.code, "")


def split(
    found: Iterable[Finding], dismissed: Iterable[Finding], ignored: Iterable[str]
) -> tuple[list[Offer], list[Offer], dict[str, Offer]]:
    """Sort what was found into what is shown where.

    A name that is not in the contract has a notice of its own, with the name that was probably
    meant; the finding that lists such names is not said beside it.

    Args:
        found: What was found and not dismissed.
        dismissed: What was dismissed.
        ignored: Names that packets carried and that have a notice.

    Returns:
        Open findings; dismissed ones; and by name the finding whose notice it has.
    """
    noticed = set(ignored)
    offers: list[Offer] = []
    by_name: dict[str, Offer] = {}
    for finding in found:
        names = set(finding.data.get("names", ()))
        offer = offer_of(finding)
        if finding.code == "parameters.unknown" and names and names <= noticed:
            by_name |= dict.fromkeys(names, offer)
        else:
            offers.append(offer)
    return offers, [offer_of(finding) for finding in dismissed], by_name


def leads_to_site(request: Request, point: DataPoint) -> bool:
    """Tell whether a person may change the site's time zone."""
    who = visit_of(request).person
    return may(who, "manage", organisation_id=point.organisation_id, site_id=point.site_id)


async def apply(request: Request) -> Response:
    """Change the one setting that a finding's remedy names, for all time."""
    return await run_in_threadpool(_apply, request, await _sent(request))


async def dismiss(request: Request) -> Response:
    """Keep a finding from being told, until it says something else."""
    comment = str((await request.form()).get("reason", "")).strip()[:300]
    return await run_in_threadpool(_dismiss, request, await _sent(request), comment)


async def restore(request: Request) -> Response:
    """Let a dismissed finding be told again."""
    return await run_in_threadpool(_restore, request, await _sent(request))


async def _sent(request: Request) -> Offer:
    form = await request.form()
    names = ("code", "text", "setting", "value", "mark")
    return Offer(**{name: str(form.get(name, ""))[:500] for name in names})


def _apply(request: Request, wanted: Offer) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    value = _offered(rooms.view.status(point).findings, wanted)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        change_one(change, point.id, wanted.setting, value, comment=t("remedy.comment"))
    rooms.registry.directory(fresh=True)
    return RedirectResponse(f"/attributes/{point.id}?changed={wanted.setting}", status_code=303)


def change_one(
    change: Change, data_point_id: int, setting: str, value: Any, *, comment: str = ""
) -> None:
    """Change one setting for all time, and let go of what was meant for the old one.

    An interval takes its tolerance along (half of it again), and only a register has a width.
    """
    settings: dict[str, Any] = {setting: value}
    if setting == "interval_s":
        settings["tolerance_s"] = None
    if setting == "behaviour" and value != "register":
        settings["register_max"] = None
    row = change.session.get(Row, data_point_id)
    assert row is not None, "the door found it"
    point_settings.change_always(change, row, settings, comment=comment)


def _dismiss(request: Request, wanted: Offer, comment: str) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    if not wanted.mark or not _is_found(request, wanted):
        raise _gone()
    with rooms.registry.catalog.change(actor_of(request)) as change:
        judgements.dismiss(change, point.id, wanted.code, wanted.mark, comment)
    return RedirectResponse(f"/attributes/{point.id}?done=finding_dismissed", status_code=303)


def _restore(request: Request, wanted: Offer) -> Response:
    rooms, point = rooms_of(request), point_of(request)
    with rooms.registry.catalog.change(actor_of(request)) as change:
        judgements.restore(change, point.id, wanted.code, wanted.mark)
    return RedirectResponse(f"/attributes/{point.id}?done=finding_restored", status_code=303)


def _is_found(request: Request, wanted: Offer) -> bool:
    point = point_of(request)
    found = rooms_of(request).view.status(point).findings
    return any((f.code, f.data.get("mark")) == (wanted.code, wanted.mark) for f in found)


def _offered(findings: Any, wanted: Offer) -> Any:
    """Return the value of the remedy that the person saw.

    Raises:
        KilowatchError: ``remedy_gone`` when no finding offers it any more.
    """
    for finding in findings:
        offer = offer_of(finding)
        if (offer.code, offer.setting, offer.value) == (wanted.code, wanted.setting, wanted.value):
            if offer.setting:
                return finding.data["remedy"]["value"]
            break
    raise _gone()


def _gone() -> KilowatchError:
    return KilowatchError(
        "remedy_gone",
        "What this button was offered for has changed meanwhile, so nothing was changed.",
        status=409,
        remedy="Look at the page again: it shows what is found now.",
    )


def changed_text(setting: str, point: DataPoint) -> str:
    """Return what a page says after a remedy, or an empty string for a word it did not send."""
    if setting not in COLUMNS or f"remedy.{setting}" not in catalogue():
        return ""
    value = setting_text(setting, getattr(point, setting))
    return t("remedy.done", setting=t(f"remedy.{setting}"), value=value)


DOORS: tuple[Door, ...] = posts_about_point(
    "attributes", {"remedy": apply, "finding/dismiss": dismiss, "finding/restore": restore}
)
