"""What whoever acts for the patient may do in a visit just now; asked anew each time, since it can end at any moment.

Making and closing their places is `proxyplaces.py`.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import proxies
from server.accounts.trust_models import Proxy
from server.encounters.models import Participant, ProxyPlace
from server.permissions import ProxyScope


async def scopes_at(session: AsyncSession, place: Participant, now: datetime) -> frozenset[ProxyScope]:
    """What whoever holds this place may do for the patient just now; nothing once it was stopped, or is over."""
    row = await session.get(ProxyPlace, (place.clinic_id, place.id))
    found = await proxies.load_open(session, place.clinic_id, row.proxy_id, now) if row is not None else None
    return proxies.scopes_of(found[0]) if found is not None else frozenset()


async def may_consent(session: AsyncSession, place: Participant) -> bool:
    """What their page offers, as it was noted; `scopes_at` judges the answer itself."""
    row = await session.get(ProxyPlace, (place.clinic_id, place.id))
    proxy = await session.get(Proxy, (place.clinic_id, row.proxy_id)) if row is not None else None
    return proxy is not None and proxy.stopped_at is None and proxy.may_consent
