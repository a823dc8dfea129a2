"""Formulas: data points that are computed from others, interval by interval.

Promises: a text becomes a tree or a refusal that names its place, what was expected and what may
have been meant; units are checked; what is missing is missing, with the reason; the time that a
formula takes grows with its length and the number of intervals, whatever it says.
Refuses: to run anything that is not in its small grammar; Python never sees the text.
Read first: ``tree.py``, ``parsing.py``, then ``checking.py`` (units) and ``evaluating.py``.
"""

from kilowatch.model.formulas.checking import Checked, check, denominator
from kilowatch.model.formulas.evaluating import Figures, Why, evaluate
from kilowatch.model.formulas.names import Names, Placed, measure_of, points_in, points_named
from kilowatch.model.formulas.parsing import parse
from kilowatch.model.formulas.tree import Reference, references, text_of

__all__ = [
    "Checked",
    "Figures",
    "Names",
    "Placed",
    "Reference",
    "Why",
    "check",
    "denominator",
    "evaluate",
    "measure_of",
    "parse",
    "points_in",
    "points_named",
    "references",
    "text_of",
]
