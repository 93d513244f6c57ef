"""The node's figures in Prometheus' text form: rooms' counts summed, drops, loop lag.

It only reads; nothing on the packet path knows of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from media.counts import Counts

if TYPE_CHECKING:
    from media.node import Node

LAGS_KEPT = 1200


class Metrics(Collector):
    def __init__(self, node: Node) -> None:
        self._node = node
        self._closed = Counts()
        self._lags = array("d")
        self._lag_at = 0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def keep(self, counts: Counts) -> None:
        """The counts of a room that closes stay in the sums."""
        for name in Counts.__slots__:
            setattr(self._closed, name, getattr(self._closed, name) + getattr(counts, name))

    def note_lag(self, lag_s: float) -> None:
        """How late the loop came to a tick; the last minute is kept."""
        if len(self._lags) < LAGS_KEPT:
            self._lags.append(lag_s)
        else:
            self._lags[self._lag_at] = lag_s
            self._lag_at = (self._lag_at + 1) % LAGS_KEPT

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing is collected when the registry is made: the node isn't there yet."""
        return []

    def _people(self) -> Iterator[Metric]:
        """What is true now of everybody in all rooms: how many, what they publish, how they fare."""
        people = [person for room in self._node.rooms.values() for person in room.participants.values()]
        published = [track for person in people if person.up is not None for track in person.up.tracks.values()]
        listening = [
            person.down for person in people if person.down is not None and person.down.connection.is_connected
        ]
        yield GaugeMetricFamily("bedside_media_participants", "People in rooms", value=len(people))
        yield GaugeMetricFamily("bedside_media_tracks", "Tracks published", value=len(published))
        trips = [one.rtt_ns / 1e9 for one in listening if one.rtt_ns]
        yield GaugeMetricFamily(
            "bedside_media_round_trip_seconds_max",
            "The longest way to a receiver and back",
            value=max(trips, default=0.0),
        )
        losses = [one.loss for one in listening]
        yield GaugeMetricFamily(
            "bedside_media_loss_ratio_max", "The largest share that a receiver loses", value=max(losses, default=0.0)
        )

    def collect(self) -> Iterator[Metric]:
        node = self._node
        packets = CounterMetricFamily("bedside_media", "Packets and messages by kind", labels=["kind"])
        for name in Counts.__slots__:
            total = getattr(self._closed, name) + sum(getattr(room.counts, name) for room in node.rooms.values())
            packets.add_metric([name], total)
        yield packets
        yield CounterMetricFamily("bedside_media_dropped", "Datagrams that made no sense", value=node.endpoint.dropped)
        yield CounterMetricFamily(
            "bedside_media_plain_bindings", "Plain STUN requests answered", value=node.endpoint.plain_bindings
        )
        yield CounterMetricFamily(
            "bedside_media_log_lines_dropped", "Lines of the log that nobody read in time", value=node.lines_dropped()
        )
        yield GaugeMetricFamily("bedside_media_rooms", "Rooms open", value=len(node.rooms))
        yield from self._people()
        yield GaugeMetricFamily("bedside_media_load", "Packets forwarded a second", value=node.load)
        yield GaugeMetricFamily(
            "bedside_media_capture_lag_ms",
            "The longest that captured packets waited for the disk, last minute",
            value=node.store.lag_s() * 1000,
        )
        yield GaugeMetricFamily(
            "bedside_media_disk_low",
            "1 while nothing is recorded because the disk is below its floor",
            value=float(node.store.is_low),
        )
        lag = GaugeMetricFamily("bedside_media_loop_lag_ms", "How late the loop was, last minute", labels=["quantile"])
        ordered = sorted(self._lags) or [0.0]
        lag.add_metric(["0.99"], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000)
        lag.add_metric(["max"], ordered[-1] * 1000)
        yield lag
