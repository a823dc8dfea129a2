"""Help where it is needed: what a page is for, and the chapter of the manual about it.

The words are ``help.<template>`` of the catalogue; a test holds that every page has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from kilowatch.dashboard.words import catalogue, t

GROUPS: tuple[tuple[str, str], ...] = (
    ("account", "start/dashboard#your-account"),
    ("admin_attention", "operate/sites#attention"),
    ("admin_calendar", "operate/sites#opening-hours"),
    ("admin_credential", "operate/administration#credentials"),
    ("admin_import", "operate/administration#many-data-points-from-a-file"),
    ("admin_live", "operate/credentials#go-live"),
    ("admin_meter", "operate/administration#meters-and-appliances"),
    ("admin_package", "operate/administration#startup-packages-for-customers"),
    ("admin_prices", "operate/sites#prices-and-co2"),
    ("admin_weather", "operate/sites#weather"),
    ("admin_point", "start/dashboard#data-points"),
    ("admin_site", "operate/administration#sites"),
    ("admin", "operate/administration"),
    ("account_tokens", "integrate/api#the-first-request"),
    ("alert_channel", "operate/notifications#channels"),
    ("alert", "operate/notifications"),
    ("attributes", "start/dashboard#attributes"),
    ("breakdown", "use/breakdown"),
    ("compare", "use/charts#compare"),
    ("event", "use/insights#an-event"),
    ("export", "use/export"),
    ("flow", "use/charts#energy-flow"),
    ("forecast", "use/insights#forecast"),
    ("heatmap", "use/charts#heat-map"),
    ("home", "use/insights#home"),
    ("import", "integrate/import"),
    ("notifications", "operate/notifications"),
    ("people", "operate/people"),
    ("profile", "use/charts#load-profile"),
    ("quality_rules", "use/data-quality#validation-rules"),
    ("quality", "use/data-quality"),
    ("sentinel", "use/insights#sentinel"),
    ("start", "start/first-packet"),
    ("waste", "use/insights#waste"),
)
"""By the beginning of a template's name, the longer before the shorter: a chapter."""
ANYWHERE = "start/dashboard"


@dataclass(frozen=True, slots=True)
class Help:
    """What a page says about itself.

    Attributes:
        text: Two to four sentences.
        chapter: Page of the manual, perhaps with a heading of it.
    """

    text: str
    chapter: str


def help_of(template: str) -> Help | None:
    """Return a page's help; None where the catalogue has no words for it.

    Example:
        >>> help_of("sentinel.html").chapter
        'use/insights#sentinel'
    """
    stem = template.removesuffix(".html")
    if f"help.{stem}" not in catalogue():
        return None
    chapters = (chapter for begin, chapter in GROUPS if stem.startswith(begin))
    return Help(t(f"help.{stem}"), next(chapters, ANYWHERE))
