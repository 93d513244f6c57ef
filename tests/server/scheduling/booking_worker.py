"""One process that wants every slot several times, all at once; prints what became of it as JSON.

Started by `test_concurrency.py`, which tells it where the database is and who is who.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from server.accounts.service import get_clinic
from server.db import Database
from server.errors import DomainError
from server.events import Events
from server.scheduling.booking import book
from server.scheduling.service import Act, Booking

SLOTS = 6
STEP = timedelta(minutes=40)
TRIES = 6


async def attempt(database: Database, act: Act, booking: Booking) -> str:
    try:
        await book(database, act, booking)
    except DomainError as refused:
        return refused.code.value
    return "booked"


async def attempt_all(told: Mapping[str, str]) -> dict[str, int]:
    database = Database(told["url"])
    async with database.reading() as session:
        clinic = await get_clinic(session, told["clinic"])
    act = Act(clinic, told["scheduler"], datetime.fromisoformat(told["now"]), Events())
    first = datetime.fromisoformat(told["first"])
    wanted = [
        Booking(told[patient], told["visit"], (told["doctor"],), first + n * STEP)
        for n in range(SLOTS)
        for patient in ("anna", "boris", "chen") * (TRIES // 3)
    ]
    answers = await asyncio.gather(*(attempt(database, act, each) for each in wanted))
    await database.close()
    return dict(Counter(answers))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attempt_all(json.loads(sys.stdin.read())))))
