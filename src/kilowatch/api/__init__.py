"""The management API v1: what a person sees, for their programs, with one of their API tokens.

Promises: a token sees exactly what its person sees, and what they may not see is answered as what
is not there; one declaration of a resource is what routes a request, checks it and describes it
(``/api/v1/openapi.json``); figures are those of the pages, and what is not known is absent.
Refuses: to change anything (writing is not built yet: 405), a session's cookie, a figure of money
without the price that it rests on.
Read first: ``resources.py`` (what there is), ``declaring.py`` (what a declaration says),
``app.py`` (the way of a request), then the file of the resource you came for.
"""

from kilowatch.api.app import create_api
from kilowatch.api.needs import Rooms

__all__ = ["Rooms", "create_api"]
