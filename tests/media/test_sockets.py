"""Both readers and both outboxes move the same datagrams between the same addresses, in order, whatever their sizes."""

from __future__ import annotations

import os
import random
import select
import socket
from collections.abc import Callable

import pytest

from media.rooms import ROOM_BYTES
from media.sockets import (
    READ_AT_ONCE,
    SENT_AT_ONCE,
    BatchOutbox,
    BatchReader,
    Hold,
    Outbox,
    PlainOutbox,
    PlainReader,
    Reader,
    outbox_for,
    reader_for,
)

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
SIZES = (0, 1, 20, 1200, 1500, ROOM_BYTES)

Datagram = tuple[bytes, tuple[object, ...]]


def bound(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.bind((LOOPBACK[family], 0))
    except OSError:
        pytest.skip(f"no {family.name} loopback here")
    return made


def take(reader: Reader) -> list[Datagram]:
    sizes, keys = reader.take()
    return [
        (room.buffer[0:size], reader.address(key)) for room, size, key in zip(reader.rooms, sizes, keys, strict=False)
    ]


def take_all(reader: Reader, sock: socket.socket, count: int) -> list[Datagram]:
    found: list[Datagram] = []
    while len(found) < count:
        assert select.select([sock], [], [], 5)[0]
        found += take(reader)
    assert take(reader) == []
    return found


@pytest.mark.parametrize("family", list(LOOPBACK))
@pytest.mark.parametrize("make", [PlainReader, BatchReader])
def test_every_datagram_comes_once_in_order_and_with_its_address(
    family: socket.AddressFamily, make: Callable[[socket.socket], Reader]
) -> None:
    dice = random.Random(5)
    with bound(family) as sock, bound(family) as one, bound(family) as other:
        reader = make(sock)
        sent = []
        for _ in range(3 * READ_AT_ONCE):
            sender = dice.choice((one, other))
            data = os.urandom(dice.choice(SIZES))
            sender.sendto(data, sock.getsockname())
            sent.append((data, sender.getsockname()))
        assert take_all(reader, sock, len(sent)) == sent
        assert all(reader.address(reader.key(address)) == address for _, address in sent)


@pytest.mark.parametrize("make", [PlainReader, BatchReader])
def test_a_datagram_that_is_too_long_is_cut_and_the_next_one_is_whole(make: Callable[[socket.socket], Reader]) -> None:
    with bound(socket.AF_INET) as sock, bound(socket.AF_INET) as sender:
        for data in (bytes(9000), b"next"):
            sender.sendto(data, sock.getsockname())
        assert [data for data, _ in take_all(make(sock), sock, 2)] == [bytes(ROOM_BYTES), b"next"]


def test_a_closed_socket_gives_and_takes_nothing() -> None:
    sock, hold = bound(socket.AF_INET), Hold()
    readers = [PlainReader(sock), BatchReader(sock)]
    outboxes: list[Outbox] = [PlainOutbox(sock), BatchOutbox(sock, hold)]
    keys = [reader.key(("127.0.0.1", 9)) for reader in readers]
    sock.close()
    assert [take(reader) for reader in readers] == [[], []]
    assert readers[0].failures == 1
    for outbox, key in zip(outboxes, keys, strict=True):
        outbox.commit(key, outbox.room.fill(b"lost"))
        assert outbox.failures == 1


def put(outbox: Outbox, key: object, data: bytes) -> None:
    outbox.commit(key, outbox.room.fill(data))


@pytest.mark.parametrize("family", list(LOOPBACK))
@pytest.mark.parametrize("is_plain", [True, False])
def test_what_is_committed_arrives_in_order_at_the_address_of_its_key(
    family: socket.AddressFamily, is_plain: bool
) -> None:
    dice, hold = random.Random(6), Hold()
    with bound(family) as sock, bound(family) as one, bound(family) as other:
        reader = PlainReader(sock) if is_plain else reader_for(sock)
        outbox = PlainOutbox(sock) if is_plain else outbox_for(sock, hold)
        keys = {receiver: reader.key(receiver.getsockname()) for receiver in (one, other)}
        sent: dict[socket.socket, list[bytes]] = {one: [], other: []}
        for turn in range(3 * SENT_AT_ONCE):
            hold.is_on = turn % 7 != 0  # one that isn't held takes those along that were
            receiver, data = dice.choice((one, other)), os.urandom(dice.choice(SIZES))
            put(outbox, keys[receiver], data)
            sent[receiver].append(data)
        outbox.flush()
        for receiver, expected in sent.items():
            assert [data for data, _ in take_all(PlainReader(receiver), receiver, len(expected))] == expected
        assert outbox.failures == 0


def test_held_datagrams_wait_for_the_flush_and_never_longer_than_a_batch() -> None:
    hold = Hold()
    with bound(socket.AF_INET) as sock, bound(socket.AF_INET) as receiver:
        outbox, key = BatchOutbox(sock, hold), BatchReader(sock).key(receiver.getsockname())
        plain = PlainReader(receiver)
        hold.is_on = True
        put(outbox, key, b"waits")
        assert take(plain) == []
        outbox.flush()
        assert len(take_all(plain, receiver, 1)) == 1
        for _ in range(SENT_AT_ONCE):
            put(outbox, key, b"full")
        assert len(take_all(plain, receiver, SENT_AT_ONCE)) == SENT_AT_ONCE


def test_one_that_cannot_be_sent_takes_no_other_with_it() -> None:
    """The kernel refuses port 0; what lies before and behind it goes out."""
    hold = Hold()
    with bound(socket.AF_INET) as sock, bound(socket.AF_INET) as receiver:
        reader, outbox = BatchReader(sock), BatchOutbox(sock, hold)
        good, bad = reader.key(receiver.getsockname()), reader.key(("127.0.0.1", 0))
        hold.is_on = True
        for key, data in ((good, b"1"), (bad, b"2"), (bad, b"3"), (good, b"4")):
            put(outbox, key, data)
        outbox.flush()
        assert [data for data, _ in take_all(PlainReader(receiver), receiver, 2)] == [b"1", b"4"]
        assert outbox.failures == 2
