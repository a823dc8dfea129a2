"""What forms name by a number or a word: which field, of what kind, in a form that else is right.

A field that a handler reads gets a decision here: in ``CASES`` where it names something that
belongs to an organisation or a person (with a form that works), else in ``PLAIN``.
``test_access_forms.py`` finds the handlers and the fields that they read by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.dashboard.worlds import PASSWORD


@dataclass(frozen=True)
class Case:
    """A form that works, and which of its fields name something.

    Attributes:
        path: Of its door.
        fields: Of the form, with numbers to be filled in.
        naming: Those that name something, likewise.
        also: Numbers of the address that are others than usual.
        works: Status of the answer where everything is one's own; where that is a refusal, it
            says nothing else than that the field was looked at.
    """

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    naming: Mapping[str, str] = field(default_factory=dict)
    also: Mapping[str, str] = field(default_factory=dict)
    works: int = 303


_O = "/organization/{organisation_id:number}"
_AO = "/admin/organizations/{organisation_id:number}"
_S = "/admin/sites/{site_id:number}"
_P = "/admin/data-points/{point_id:number}"
_Q = "/quality/{point_id:number}"
_RULE = {"name": "new rule", "kind": "offline", "watched": "organisation", "days": "1"}
_PRICE = {"utility": "electricity", "per_unit": "0.3", "per": "kWh", "label": "x", "from": ""}
_FACTOR = {
    "utility": "electricity", "kg_per_unit": "0.3", "per": "kWh", "source": "x", "from": "",
    "basis": "location-based",
}  # fmt: skip
_NEW = {
    "name": "new point", "kind": "electrical", "utility": "electricity", "interval": "5m",
    "stamp": "start", "clock": "auto",
}  # fmt: skip
_FILL = {
    "kind": "fill", "method": "sister", "comment": "why", "step": "preview",
    "from": "2026-11-08T10:00", "to": "2026-11-08T12:00",
}  # fmt: skip
_PROOF = {"current_password": PASSWORD}

CASES: tuple[Case, ...] = (
    Case(
        "/breakdown/{point_id:number}/comments",
        {"start": "2026-11-08T10:00", "text": "hello"},
        {"event": "{event_id}"},
        works=200,
    ),
    Case(
        "/breakdown/{point_id:number}/comments/{comment_id:number}",
        {"start": "2026-11-08T10:00", "text": "hello"},
        {"event": "{event_id}"},
        works=409,  # somebody else's comment
    ),
    Case(f"{_Q}/correct", _FILL, {"sister": "{sister_id}"}, works=422),  # changes no figure
    Case(f"{_Q}/judge/undo", {}, {"number": "{correction_id}"}, works=200),
    Case(f"{_Q}/correct/undo", {}, {"number": "{correction_id}"}, works=200),
    Case(f"{_Q}/meter/undo", {}, {"number": "{recorded_id}"}, works=200),
    *(
        Case(_P, _NEW, {name: value})  # the form that registers one, whose place this one leaves
        for name, value in (
            ("site", "{site_id}"), ("meter", "{meter_id}"), ("appliance", "{appliance_id}"),
            ("parent", "{sister}"), ("meter_name", "{meter}"), ("stream_id", "{sister}"),
            ("appliance_name", "{appliance}"),
        )
    ),
    Case(f"{_P}/undo", {}, {"what": "setting-{setting_id}"}),
    Case(f"{_P}/undo", {}, {"what": "event-{recorded_id}"}),
    Case(
        f"{_P}/undo", {}, {"what": "formula-{formula_period_id}"}, {"point_id": "{formula_id}"}
    ),
    Case(f"{_S}/zone/undo", {}, {"what": "zone-{zone_id}"}),
    Case("/export/links", {"name": "x", "format": "csv", "days": "7", **_PROOF},
         {"place": "p{point_id}"}, works=200),
    Case("/export/links", {"name": "x", "format": "csv", "days": "7", **_PROOF},
         {"place": "s{site_id}"}, works=200),
    Case("/export/links", {"name": "x", "format": "csv", "days": "7", **_PROOF},
         {"place": "o{organisation_id}"}, works=200),
    Case(f"{_O}/rules", _RULE, {"channels": "{channel_id}"}),
    Case(f"{_O}/rules", _RULE | {"escalate": "30m"}, {"escalation": "{channel_id}"}),
    Case(f"{_O}/rules", _RULE, {"watched": "site:{site_id}"}),
    Case(f"{_O}/rules", _RULE | {"watched": "point"}, {"point": "{stream}"}),
    Case(f"{_O}/rules/{{rule_id:number}}", _RULE, {"channels": "{channel_id}"}),
    Case(f"{_O}/rules/{{rule_id:number}}", _RULE | {"escalate": "30m"},
         {"escalation": "{channel_id}"}),
    Case(f"{_O}/rules/{{rule_id:number}}", _RULE, {"watched": "site:{site_id}"}),
    Case(f"{_O}/rules/{{rule_id:number}}", _RULE | {"watched": "point"}, {"point": "{stream}"}),
    Case(f"{_S}/calendar/remove", {}, {"what": "days-{days_id}"}),
    Case(f"{_S}/calendar/remove", {}, {"what": "hours-{hours_id}"}),
    Case(f"{_S}/weather", {}, {"temperature": "{outdoor_id}"}),
    Case(f"{_S}/prices/price", _PRICE, {"wrong": "{site_price_id}"}),
    Case(f"{_S}/prices/carbon", _FACTOR, {"wrong": "{site_carbon_id}"}),
    Case(f"{_S}/prices/remove", {}, {"what": "price-{site_price_id}"}),
    Case(f"{_S}/prices/remove", {}, {"what": "carbon-{site_carbon_id}"}),
    Case(f"{_AO}/prices/price", _PRICE, {"wrong": "{price_id}"}),
    Case(f"{_AO}/prices/carbon", _FACTOR, {"wrong": "{carbon_id}"}),
    Case(f"{_AO}/prices/remove", {}, {"what": "price-{price_id}"}),
    Case(f"{_AO}/prices/remove", {}, {"what": "carbon-{carbon_id}"}),
    Case(f"{_S}/meters", {"name": "new meter"}, {"parent": "{meter}"}),
    Case(f"{_S}/meters/{{meter_id:number}}", {"name": "new name"}, {"parent": "{other_meter}"}),
    Case(f"{_P}/move", {"when": "always", "place": "{meter_id}/"}, {"parent": "{sister}"}),
    Case(f"{_P}/move", {"when": "always", "place": "{meter_id}/"}, {"site": "{site_id}"}),
    Case(f"{_P}/move", {"when": "always"}, {"place": "{meter_id}/{appliance_id}"}),
    Case(f"{_P}/move", {"when": "always"}, {"place": "{own_meter_id}/{appliance_id}"}),
    Case("/admin/data-points/new-formula", {"name": "new", "formula": "1 * #{sister_id}.energy"},
         {"site": "{site_id}"}),
    Case("/admin/data-points/new-formula", {"name": "new", "site": "{site_id}"},
         {"formula": "1 * #{sister_id}.energy"}),
    Case("/admin/data-points/new-formula", {"name": "new", "site": "{site_id}"},
         {"formula": "1 * [{sister}].energy"}),
    Case(f"{_P}/formula", {"name": "new", "when": "always"},
         {"formula": "1 * #{sister_id}.energy"}, {"point_id": "{formula_id}"}),
    Case(f"{_P}/formula", {"name": "new", "when": "always", "formula": "1 * #{sister_id}.energy"},
         {"site": "{site_id}"}, {"point_id": "{formula_id}"}),
    Case("/admin/formula/preview", {"formula": "1 * #{sister_id}.energy", "point": ""},
         {"site": "{site_id}"}, works=200),
    Case("/admin/formula/preview", {"formula": "1 * #{sister_id}.energy", "site": "{site_id}"},
         {"point": "{outdoor_id}"}, works=200),
    Case("/admin/formula/preview", {"site": "{site_id}", "point": ""},
         {"formula": "1 * #{sister_id}.energy"}, works=200),
    Case("/admin/data-points", _NEW, {"site": "{site_id}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}"}, {"meter": "{meter_id}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}", "meter": "{meter_id}"},
         {"appliance": "{appliance_id}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}"}, {"parent": "{sister}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}"}, {"meter_name": "{meter}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}", "meter": "{meter_id}"},
         {"appliance_name": "{appliance}"}),
    Case("/admin/data-points", _NEW | {"site": "{site_id}"}, {"stream_id": "{sister}"}, works=422),
    Case(f"{_AO}/credentials", {"scope": "site", "environment": "development"},
         {"site": "{site_id}"}, works=200),
    Case(f"{_AO}/credentials", {"scope": "meter", "environment": "development"},
         {"point": "{stream}"}, works=200),
    Case(f"{_AO}/credentials", {"scope": "user", "environment": "development"},
         {"user": "{member}"}, works=200),
    Case(f"{_O}/users", {"email": "x@example.com", "name": "x", "role": "viewer",
                         "where": "whole"}, {"plan": "{plan_id}"}, works=200),
    Case(f"{_O}/users", {"email": "x@example.com", "name": "x", "role": "viewer",
                         "where": "some"}, {"site": "{site_id}"}, works=200),
    Case(f"{_O}/users", {"email": "x@example.com", "name": "x", "role": "viewer",
                         "where": "some"}, {"streams": "{sister}"}, works=200),
    Case(f"{_O}/users", {"name": "x", "role": "viewer", "where": "whole"},
         {"email": "{member}"}, works=422),
    Case(f"{_O}/users/{{user_id:number}}/role", {"role": "viewer", "where": "whole"},
         {"plan": "{plan_id}"}),
    Case(f"{_O}/users/{{user_id:number}}/places", {}, {"site": "{site_id}"}),
    Case(f"{_O}/users/{{user_id:number}}/places", {}, {"streams": "{sister}"}),
    Case(f"{_O}/users/{{user_id:number}}/places/remove", {}, {"grant": "{grant_id}"}),
    Case(f"{_O}/groups/{{group_id:number}}", {"do": "join"}, {"user": "{user_id}"}),
    Case(f"{_O}/groups/{{group_id:number}}", {"do": "leave"}, {"user": "{user_id}"}),
    Case(f"{_O}/groups/{{group_id:number}}", {"do": "open"}, {"site": "{site_id}"}),
    Case(f"{_O}/groups/{{group_id:number}}", {"do": "open"}, {"streams": "{sister}"}),
    Case(f"{_O}/groups/{{group_id:number}}", {"do": "close"}, {"place": "{group_place_id}"}),
    Case("/account/sessions", {}, {"session": "{session}"}, works=404),
    Case("/account/tokens/revoke", {}, {"token": "{token}"}, works=404),
    Case("/export/links/revoke", {}, {"export_link": "{export_link}"}, works=404),
    Case("/account/address", _PROOF, {"email": "{member}"}, works=422),
)  # fmt: skip
"""What works, with the fields that name something: each is tried with what is somebody else's."""

PLAIN: frozenset[str] = frozenset(
    """
    about access account address after area_m2 attention_per_week basis behaviour called
    calorific_kwh_per_m3 chat city clock code comment consecutive contact_email contact_name
    cooldown cooling_base_c country ct_ratio currency current_password days decimal
    demand_max demand_period_s digest direction do enabled end energy_unit environment
    escalate estimate_method estimate_up_to_s every first format from from_day from_time
    handover heating_base_c high_voltage_percent hours_are in_address interval kg_per_unit kind
    label last least_power_factor limit lost_phase_percent low_voltage_percent
    lowest_voltage_percent phase_sum_percent unbalance_percent
    locale mark measure measures multiplier name negative next nominal_voltage_v open order
    per per_unit period phone point_name price profile_name pulse_weight quantity quiet_from
    quiet_to reason recovery region register_max remind required role scope secret seen
    sender separator service setting site_name source spike_factor stamp start step stream
    sum_limit sum_of sum_tolerance sure take temperature_unit test_data text to to_time
    tolerance tool unit url utility value volume_correction vt_ratio wait when where which
    zero_run_s zone
    """.split()  # noqa: SIM905 - a list of words is read as words
)
"""Fields that say something and name nothing of anybody."""

PLAIN_AT: dict[str, frozenset[str]] = {
    f"{_S}/meters/{{meter_id:number}}/appliances": frozenset({"appliance"}),
    f"{_S}/meters/{{meter_id:number}}/appliances/{{appliance_id:number}}": frozenset({"appliance"}),
    f"{_O}/channels": frozenset({"token"}),
    f"{_O}/channels/{{channel_id:number}}": frozenset({"token"}),
    # Packets of the stream of the address: the collector is given both.
    "/attributes/{point_id:number}/kept/backfill": frozenset({"kept"}),
    "/attributes/{point_id:number}/kept/dismiss": frozenset({"kept"}),
    # With a file only: test_imports.py and test_estate.py.
    f"{_O}/import": frozenset({"file", "profile"}),
    f"{_AO}/import": frozenset({"file"}),
    # Before a log-in: whoever has the token, or the address and the password.
    **dict.fromkeys(
        ("/new-password", "/confirm-address", "/invitation", "/invitation/join"),
        frozenset({"token"}),
    ),
    "/login": frozenset({"email"}),
    "/forgotten": frozenset({"email"}),
}
"""Fields that elsewhere name something, by the path at which they do not."""

PARTLY = {"of one site": "of.site@example.com", "of one data point": "of.point@example.com"}
"""Administrators of a part of Acme: neither part is where the furniture stands."""
