"""What a room has seen and done, in plain integers that the packet path adds to."""

from __future__ import annotations

from media.api import RoomStats


class Counts:
    """The fields of RoomStats, mutable."""

    __slots__ = tuple(name for name in RoomStats.model_fields if name != "v")

    rtp_in: int
    rtp_out: int
    rtcp_in: int
    rtcp_out: int
    dtls_in: int
    dtls_out: int
    stun_in: int
    stun_out: int
    captured: int
    lost_in: int
    nack_in: int
    nack_out: int
    rtx_in: int
    rtx_out: int
    pli_in: int
    pli_out: int

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)

    def as_stats(self) -> RoomStats:
        return RoomStats(**{name: getattr(self, name) for name in self.__slots__})
