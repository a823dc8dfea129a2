"""What kinds of events are called in a sentence, and what they are mostly caused by."""

from __future__ import annotations

from kilowatch.model.insight import EventKind

_K = EventKind

TITLES = {
    _K.SPIKE: "a spike",
    _K.DROPOUT: "no use although some was expected",
    _K.STUCK: "the value does not move",
    _K.LEVEL_SHIFT: "another level than before",
    _K.NIGHT_LOAD: "the night load has risen",
    _K.MISSED_SHUTDOWN: "not switched off on a day off",
    _K.DRIFT: "drifting away from what is usual",
    _K.CLOCK_SHIFT: "the daily rhythm has shifted",
    _K.PHASE_LOSS: "a phase is lost",
    _K.NEGATIVE: "negative consumption",
    _K.VOLTAGE: "voltage outside its limits",
    _K.UNBALANCE: "phases carry unequal loads",
    _K.POWER_FACTOR: "poor power factor",
    _K.PHASE_SUM: "the total does not match its phases",
    _K.AFTER_HOURS: "running after hours",
    _K.WEEKEND: "running over the weekend",
    _K.HOLIDAY: "running on a day off",
    _K.EARLY_START: "starting too early",
    _K.BASELOAD_CREEP: "the base load has crept up",
    _K.OVER_CONDITIONING: "heating or cooling in mild weather",
}

NORMAL = {
    _K.AFTER_HOURS: "is needed outside opening hours",
    _K.WEEKEND: "a weekend needs",
    _K.HOLIDAY: "a day off needs",
    _K.EARLY_START: "is needed before opening",
    _K.BASELOAD_CREEP: "the building's own base load was",
    _K.OVER_CONDITIONING: "such weather needs",
    _K.MISSED_SHUTDOWN: "a normal day off",
    _K.NIGHT_LOAD: "normal nights",
}

OF_IT = {
    _K.AFTER_HOURS: " outside opening hours",
    _K.WEEKEND: " at weekends",
    _K.HOLIDAY: " on days off",
    _K.EARLY_START: " before opening",
    _K.BASELOAD_CREEP: " as base load",
    _K.OVER_CONDITIONING: " in mild weather",
}
"""Which part of the waste that has one cause is of a kind."""

OF_SOME_HOURS = {_K.NIGHT_LOAD: "the nights", _K.MISSED_SHUTDOWN: "the day off"}
"""Kinds that are seen in some hours of their time, while their amount is that of all of it."""

STAYED_ON = {
    "electricity": "ventilation or lighting was not switched off",
    "heat": "the heating was not set back",
    "gas": "the boiler was not set back",
    "cooling": "the cooling was not switched off",
    "water": "a tap or a valve stayed open",
}

GUESSES = {
    _K.SPIKE: "one such hour is mostly a meter or a transmission that made up for a gap",
    _K.DROPOUT: "either the plant stood still, or the meter counts nothing",
    _K.STUCK: "meters that repeat a value have mostly lost their sensor",
    _K.LEVEL_SHIFT: "something was added, taken away or set differently",
    _K.NIGHT_LOAD: "something runs at night that did not run before",
    _K.DRIFT: "a slow change: wear, dirt, or a set point that moves",
    _K.CLOCK_SHIFT: "a time switch, or the meter's own clock, goes by another time",
    _K.PHASE_LOSS: "look at fuses and current transformers",
    _K.NEGATIVE: "a register was reset, or wires are crossed",
    _K.VOLTAGE: "ask the network operator, or look at the transformer's tap",
    _K.UNBALANCE: "loads could be spread better over the phases",
    _K.POWER_FACTOR: "compensation is missing or broken",
    _K.PHASE_SUM: "a current transformer is turned, missing or has another ratio than is set",
    _K.EARLY_START: "plant starts before people come",
    _K.BASELOAD_CREEP: "something that is always on was added or does not rest any more",
    _K.OVER_CONDITIONING: "heating and cooling work against each other, or more was switched on",
}

LOAD_GONE = "a part of the load is gone, as if a phase were lost"
"""What the loss of a phase is called where only the energy was looked at, and its guess."""
LOAD_GONE_GUESS = "a part of the plant is off, or a phase has lost its fuse or current transformer"

AGAIN = {
    "again_twice": "each value comes more than once",
    "again_day": "the values of the day before come again",
    "again_week": "the values of the week before come again",
    "again_line": "the values lie on a straight line",
}
"""What values that come again are called, by pattern, and what made them."""

AGAIN_GUESSES = {
    "again_twice": "the meter is read less often than it sends, or a gateway repeats what it has",
    "again_day": "a gateway or a head-end system sends what it has, and nothing is measured",
    "again_week": "a gateway or a head-end system sends what it has, and nothing is measured",
    "again_line": "a gap was filled in on the way, and nothing was measured",
}

SUMS = {
    "fell": "a register fell and is not counted",
    "turned": "a phase runs backwards",
    "phase_energy": "a register does not match its power",
}
"""What registers and phases that do not fit are called, where it is not about a total."""

SUMS_GUESSES = {
    "fell": "say at Data quality whether the meter was exchanged or reset, the dial rolled over, or"
    " a reading was wrong",
    "turned": "the current transformer of that phase, or its wires, are the wrong way round",
}

NAMED = {"dip": "a dip", "load_gone": LOAD_GONE} | AGAIN | SUMS
"""What events are called that their kind alone would name wrongly."""

OFF = {
    "more": ("more than usual", ""),
    "less": ("less than usual", ""),
    "made_more": ("more was produced than usual", "more sun or wind may be all of it"),
    "made_less": (
        "less was produced than usual",
        "less sun or wind may be all of it; else look for shade, dirt, or a part that is off",
    ),
}
"""Title and guess where the figures do not bear out what the kind says: nothing but the way."""

AT_TIMES = {
    "steady_hours": {
        "title": "more than usual in open hours",
        "normal": "such hours need",
        "of_it": " in open hours",
        "guess": "something was added or runs longer",
    },
    "open_hours": {
        "title": "more than usual in open hours",
        "normal": "such hours need",
        "of_it": " in open hours",
        "guess": "something was added or runs longer; without an outdoor temperature nobody can say"
        " whether the weather called for it",
    },
    "by_day": {
        "title": "more than usual by day",
        "normal": "such hours need",
        "of_it": " by day",
        "guess": "the nights are as they were: something was added by day, or runs longer",
    },
    "quiet_hours": {
        "title": "running at quiet hours",
        "normal": "is needed at quiet hours",
        "of_it": " at quiet hours",
        "guess": "it looks as if a tap or a valve stayed open, or a pipe leaks",
    },
}
"""What is said of a base that rose by day alone, of open hours at a site whose weather nobody
knows, and of water at hours in which little of it is used: nobody opens a district."""
