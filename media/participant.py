"""One person in a room: their two connections, and whether they are there.

What follows from that (events, who gets whose tracks) is the room's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from media.api import NodeEventKind, ParticipantState
from media.connection import CLOSED_AFTER_SILENCE_NS, Connection
from media.feedback import MS
from media.publisher import Publisher
from media.subscriber import Subscriber

ENDED_KEPT_MAX = 32
ANSWER_WITHIN_NS = 10_000 * MS
CONNECT_WITHIN_NS = 30_000 * MS
AWAY_PUBLISHING_NS = 5_000 * MS
AWAY_LISTENING_NS = 15_000 * MS
PUBLISHES_WITHIN_NS = 2_000 * MS


@dataclass
class Participant:
    participant_id: str
    admitted: bool = False
    picture_first: bool = False
    up: Publisher | None = None
    down: Subscriber | None = None
    away_since_ns: int = 0
    # Whose pictures their link does not take, as last told.
    held_back: frozenset[str] = frozenset()
    has_connected: bool = False
    last_reason: str = "silent"
    # Connection ids that have ended: they can't be resumed.
    ended: list[str] = field(default_factory=list)

    def connections(self) -> list[Connection]:
        return [leg.connection for leg in (self.up, self.down) if leg is not None]

    def close(self) -> None:
        for leg in (self.up, self.down):
            if leg is not None:
                leg.close()
        self.up = self.down = None

    def publishes(self) -> bool:
        """Whether media was part of what came last."""
        if self.up is None or not self.up.connection.rtp_heard_ns:
            return False
        heard = max(connection.heard_ns for connection in self.connections())
        return heard - self.up.connection.rtp_heard_ns < PUBLISHES_WITHIN_NS

    def remember(self, connection: Connection) -> None:
        self.ended.append(connection.connection_id)
        del self.ended[:-ENDED_KEPT_MAX]

    def end_hopeless(self, now_ns: int) -> None:
        """Connections that are silent, never came about, or wait for an answer in vain."""
        for connection in self.connections():
            connection.tend_paths(now_ns)
            if now_ns - connection.heard_ns > CLOSED_AFTER_SILENCE_NS:
                connection.end("silent")
            elif not connection.is_connected and now_ns - connection.made_ns > CONNECT_WITHIN_NS:
                connection.end("never_connected")
        if self.down is not None and self.down.has_waited_for_answer(now_ns, ANSWER_WITHIN_NS):
            self.down.connection.end("no_answer")

    def look(self, now_ns: int) -> tuple[NodeEventKind, str | None] | None:
        """(away or back, why) when that has just changed."""
        connected = [connection for connection in self.connections() if connection.is_connected]
        heard_ns = max((connection.heard_ns for connection in connected), default=0)
        limit_ns = AWAY_PUBLISHING_NS if self.publishes() else AWAY_LISTENING_NS
        is_silent = now_ns - heard_ns > limit_ns
        if self.away_since_ns:
            if connected and not is_silent and heard_ns > self.away_since_ns:
                self.away_since_ns = 0
                return NodeEventKind.BACK, None
        elif self.has_connected and is_silent:
            self.away_since_ns = now_ns
            return NodeEventKind.AWAY, "silent" if connected else self.last_reason
        return None

    def quality(self) -> dict[str, float] | None:
        """Figures of both connections; None while nothing is received."""
        up, down = self.up, self.down
        if down is None or not down.connection.is_connected:
            return None
        figures = {"rtt_ms": down.rtt_ns / 1e6, "loss": down.loss}
        told = down.downlink.estimate
        if told.told_bps is not None:
            figures["estimate_bps"] = float(told.bps if told.bps is not None else told.told_bps)
        if up is not None:
            layers = [layer for track in up.tracks.values() for layer in track.layers.values()]
            figures["sent_bps"] = float(sum(layer.meter.bps for layer in layers))
            figures["lost_in"] = float(sum(layer.reception.lost for layer in layers))
        return figures

    def state(self) -> ParticipantState:
        up, down = self.up, self.down
        return ParticipantState(
            admitted=self.admitted,
            picture_first=self.picture_first,
            away=bool(self.away_since_ns),
            held_back=sorted(self.held_back),
            up=up.connection.connection_id if up is not None and up.connection.is_connected else None,
            down=down.connection.connection_id if down is not None and down.connection.is_connected else None,
            sources=list(up.tracks) if up is not None else [],
        )
