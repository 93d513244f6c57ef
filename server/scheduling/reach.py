"""Whether messages about appointments reach a patient at all, and why not. What was queued is `messages.py`'s."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Patient
from server.scheduling.messages import load_refused


class Reach(StrEnum):
    REACHED = "reached"
    UNWANTED = "unwanted"
    """There are ways, and the patient wants none of them."""
    NO_ADDRESS = "no_address"


def reach_of(patient: Patient, refused: Collection[str]) -> Reach:
    """`refused`: the channels that the patient doesn't want."""
    ways = [channel for channel, address in (("mail", patient.email), ("sms", patient.phone)) if address]
    if not ways:
        return Reach.NO_ADDRESS
    return Reach.REACHED if set(ways) - set(refused) else Reach.UNWANTED


async def load_reach(session: AsyncSession, patient: Patient) -> Reach:
    return reach_of(patient, await load_refused(session, patient))
