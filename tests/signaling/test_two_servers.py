"""Two servers that share one Redis serve one visit; a lost subscription, lost state and a lost server are survived."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import redis.asyncio
import structlog

from signaling.bus import CHANNEL
from signaling.words import Role, RoomId
from tests.signaling.conftest import cast
from tests.signaling.house import House, Page
from tests.signaling.test_record import agree, asked, connected, switched
from tests.signaling.test_visit import names
from tests.signaling.until import until
from tests.support.certificates import Certificate
from tests.support.redis import RedisServer, redis_server

ROOM = RoomId("room1")


async def apart(house: House) -> tuple[Page, Page]:
    """Doctor on one server, patient on the other."""
    doctor = await house.page("doctor", server=house.servers[0])
    patient = await house.page("patient", server=house.servers[1])
    await doctor.sees(lambda s: s["waiting"])
    await doctor.ok("admit", participant_id="patient")
    for page in (doctor, patient):
        await page.sees(lambda s: s["direct"])
    return doctor, patient


async def test_a_visit_across_two_servers_is_one_visit(two_servers: House) -> None:
    doctor, patient = await apart(two_servers)
    attempt = doctor.snapshot["attempt"]
    await doctor.ok("describe", to="patient", attempt=attempt, type="offer", sdp="v=0 offer")
    await patient.until(lambda: patient.all("signal"))
    await patient.ok("chat", text="hello")
    await doctor.until(lambda: doctor.all("chat"))
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    for page in (doctor, patient):
        await page.sees(lambda s: s["recording"]["phase"] == "running")
    revisions = [snapshot["revision"] for snapshot in patient.all("snapshot")]
    assert revisions == sorted(revisions)


async def test_arrivals_reach_the_other_server(two_servers: House) -> None:
    two_servers.clinic.add_room("untaken", doctor=None)
    two_servers.clinic.invite("walkin", Role.PATIENT, room="untaken")
    page = await two_servers.clinic_page("staff-doctor1", two_servers.servers[0])
    for who in ("patient", "walkin"):
        await two_servers.page(who, server=two_servers.servers[1])
        await page.until(lambda who=who: who in str(page.all("arrivals")[-1:]))  # type: ignore[misc]


async def test_a_tab_on_the_other_server_takes_the_place_over(two_servers: House) -> None:
    doctor, patient = await apart(two_servers)
    again = await two_servers.page("patient", server=two_servers.servers[0])
    await again.sees(lambda s: s["people"])
    await patient.is_over.wait()
    assert patient.snapshot["you"]["reason"] == "replaced"
    assert names(doctor.snapshot) == ["doctor", "patient"]


async def test_a_repeated_event_on_the_other_server_gets_the_first_answer(two_servers: House) -> None:
    _, patient = await apart(two_servers)
    first = await patient.send_raw("chat", {"id": "12345678", "text": "once"})
    again = await two_servers.page("patient", server=two_servers.servers[0])
    await again.sees(lambda s: s["people"])
    assert await again.send_raw("chat", {"id": "12345678", "text": "once"}) == first
    assert len(two_servers.clinic.rooms[ROOM].chat) == 1


async def test_a_session_is_revoked_on_every_server(two_servers: House) -> None:
    doctor, patient = await apart(two_servers)
    await two_servers.servers[0].signaling.revoke_session("session-patient")  # type: ignore[arg-type]
    await patient.is_over.wait()
    assert await doctor.sees(lambda s: next(one for one in s["people"] if one["participant_id"] == "patient")["away"])


async def test_c05_subscribers_killed_by_the_broker_come_back_and_nothing_is_lost(
    two_servers: House, own_redis: RedisServer
) -> None:
    doctor, patient = await apart(two_servers)
    async with redis.asyncio.Redis.from_url(own_redis.url) as client:
        await client.config_set("client-output-buffer-limit", "pubsub 1mb 1mb 0")
        with structlog.testing.capture_logs() as logs:
            await client.publish(CHANNEL, b"x" * 3_000_000)
            await until(_unready(two_servers), 5)
            await doctor.ok("chat", text="said while nobody heard")
            await until(_subscribed(two_servers, client))
        assert [entry for entry in logs if entry["event"] == "bus_lost" and entry["log_level"] == "error"]
        assert all(server.signaling.ready() for server in two_servers.servers)
        await patient.sees(lambda s: s["chat_count"] == 1, "the snapshot sent again")
        assert [line["text"] for line in (await patient.ok("chat_history"))["lines"]] == ["said while nobody heard"]
        await doctor.ok("chat", text="and after")
        await patient.until(lambda: patient.all("chat"))
        await client.config_set("client-output-buffer-limit", "pubsub 32mb 8mb 60")


def _unready(house: House) -> Callable[[], Awaitable[bool]]:
    async def are_unready() -> bool:
        return not all(server.signaling.ready() for server in house.servers)

    return are_unready


def _subscribed(house: House, client: redis.asyncio.Redis) -> Callable[[], Awaitable[bool]]:
    async def both() -> bool:
        numbers = dict(await client.pubsub_numsub(CHANNEL))
        return numbers[CHANNEL.encode()] == 2 and all(server.signaling.ready() for server in house.servers)

    return both


async def test_a_room_whose_state_was_lost_is_rebuilt_with_everybody_in_it(
    two_servers: House, own_redis: RedisServer
) -> None:
    doctor, patient = await apart(two_servers)
    await connected(doctor, patient)
    await asked(doctor, patient)
    await agree(doctor, patient)
    await switched(doctor, patient)
    for page in (doctor, patient):
        await page.sees(lambda s: s["recording"]["phase"] == "running")
    before = doctor.snapshot["revision"]
    own_redis.flush()
    for page in (doctor, patient):
        snapshot = await page.sees(
            lambda s: (
                s["revision"] > before
                and not any(one["away"] for one in s["people"])
                and s["relay_up"]
                and s["recording"]["phase"] == "running"
            ),
            "everybody back",
        )
        assert names(snapshot) == ["doctor", "patient"]
        assert snapshot["mode"] == "relay"
        assert snapshot["recording"]["answers"] == {"doctor": "yes", "patient": "yes"}
    await patient.ok("chat", text="still here")


async def test_a_redis_that_restarts_empty_costs_nobody_their_place(certificate: Certificate) -> None:
    with redis_server() as own:
        house = House(certificate, redis_url=own.url)
        cast(house)
        await house.serve()
        await house.serve()
        try:
            doctor, patient = await apart(house)
            before = doctor.snapshot["attempt"]
            own.stop()
            await until(_unready(house))
            own.start()
            for page in (doctor, patient):
                page.patience_s = 20
                snapshot = await page.sees(
                    lambda s: s["attempt"] > before and not any(one["away"] for one in s["people"])
                )
                assert names(snapshot) == ["doctor", "patient"]
            await patient.ok("chat", text="still here")
            await doctor.until(lambda: doctor.all("chat"))
        finally:
            await house.close()


async def test_people_of_a_server_that_died_are_away(two_servers: House) -> None:
    doctor, _ = await apart(two_servers)
    dead = two_servers.servers[1]
    await dead.store.leave(dead.server_id)
    dead.store.beat = _silent  # type: ignore[method-assign]
    await two_servers.servers[0].store.leave(dead.server_id)
    await doctor.sees(lambda s: any(one["away"] for one in s["people"]), "away")


async def _silent(_: str) -> None: ...
