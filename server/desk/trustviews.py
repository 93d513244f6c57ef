"""The routes of settings and of who opened a record; `views.py` holds those of the day's work."""

from __future__ import annotations

from server.accounts import account
from server.desk import access, clinicsettings, glassviews, proxyviews

ROUTES = [*clinicsettings.ROUTES, *access.ROUTES, *proxyviews.ROUTES, *glassviews.ROUTES, *account.ROUTES]
