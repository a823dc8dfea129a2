"""What streams will use: bands known before each hour, from one model that all streams teach.

Promises: a forecast rests on what was known before its origin, and on its own stream; the same
history gives the same numbers, however streams are cut into batches.
Refuses: a model for each stream by name, to look at values at or after the origin.
Read first: ``predicting.py`` (what is said), then ``features.py`` (what it rests on).
"""

from kilowatch.insights.forecasting.adapting import adapt
from kilowatch.insights.forecasting.forecast import Forecast, Score, naive_scale, score
from kilowatch.insights.forecasting.model import Model, WrongModelError
from kilowatch.insights.forecasting.predicting import Expectation, expect, predict
from kilowatch.insights.forecasting.shipped import shipped
from kilowatch.insights.forecasting.track import Track, follow
from kilowatch.insights.forecasting.training import TooLittleError, train

__all__ = [
    "Expectation",
    "Forecast",
    "Model",
    "Score",
    "TooLittleError",
    "Track",
    "WrongModelError",
    "adapt",
    "expect",
    "follow",
    "naive_scale",
    "predict",
    "score",
    "shipped",
    "train",
]
