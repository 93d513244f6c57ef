"""Both readers give the same datagrams from the same addresses, in order, whatever their sizes."""

from __future__ import annotations

import os
import random
import select
import socket
from collections.abc import Callable

import pytest

from media.sockets import AT_ONCE, ROOM_BYTES, BatchReader, PlainReader, Reader, reader_for

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


def bound(family: socket.AddressFamily) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    try:
        made.bind((LOOPBACK[family], 0))
    except OSError:
        pytest.skip(f"no {family.name} loopback here")
    return made


def read_all(reader: Reader, sock: socket.socket, count: int) -> list[tuple[bytes, tuple[object, ...]]]:
    found: list[tuple[bytes, tuple[object, ...]]] = []
    while len(found) < count:
        assert select.select([sock], [], [], 5)[0]
        found += [(data, reader.address(key)) for data, key in reader.read()]
    assert reader.read() == []
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
        for _ in range(3 * AT_ONCE):
            sender = dice.choice((one, other))
            data = os.urandom(dice.choice((0, 1, 20, 1200, 1500, ROOM_BYTES)))
            sender.sendto(data, sock.getsockname())
            sent.append((data, sender.getsockname()))
        found = read_all(reader, sock, len(sent))
        assert found == sent
        assert all(reader.address(reader.key(address)) == address for _, address in found)


def test_a_datagram_that_is_too_long_is_cut_and_the_next_one_is_whole() -> None:
    with bound(socket.AF_INET) as sock, bound(socket.AF_INET) as sender:
        reader = reader_for(sock)
        for data in (bytes(9000), b"next"):
            sender.sendto(data, sock.getsockname())
        assert [data for data, _ in read_all(reader, sock, 2)] == [bytes(ROOM_BYTES), b"next"]


def test_a_closed_socket_gives_nothing() -> None:
    sock = bound(socket.AF_INET)
    plain, batch = PlainReader(sock), BatchReader(sock)
    sock.close()
    assert plain.read() == batch.read() == []
    assert plain.failures == 1
