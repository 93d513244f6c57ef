"""Which track a packet of an up connection belongs to: by declared SSRC, by MID and RID, by the only fitting section.

What the packet then means is `publisher`'s; SSRCs that belong nowhere are not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from media.api import Source
from media.connection import Connection
from media.negotiate import AUDIO_LEVEL, MID, REPAIRED_RID, RID, TRANSPORT_CC, UpPlan, UpSection
from media.track import KeyFrameSource, Layer, Track


class _Nobody:
    """Stands for a publisher that has gone."""

    def want_key_frame(self, layer: Layer) -> None: ...


def _ignore(_: Layer) -> None:
    """Nobody wants to know of it."""


class Streams:
    """The tracks of one up connection, their layers by SSRC, and the layers that repair SSRCs belong to."""

    def __init__(
        self, participant_id: str, connection: Connection, asks: KeyFrameSource, on_layer: Callable[[Layer], None]
    ) -> None:
        self.tracks: dict[Source, Track] = {}
        self.by_ssrc: dict[int, Layer] = {}
        self.by_repair: dict[int, Layer] = {}
        # Header extension URI → id, the same in every section of a bundle.
        self.ids: dict[str, int] = {}
        # 0 is no id.
        self.wide_id = self.level_id = 0
        self._participant_id = participant_id
        self._connection = connection
        self._asks: KeyFrameSource = asks
        self._on_layer: Callable[[Layer], None] = on_layer
        self._sections: dict[str, UpSection] = {}

    def take(self, plan: UpPlan) -> None:
        """The sections of a new offer; what no longer sends goes, what sends still keeps its streams."""
        self._sections = plan.accepted
        for section in plan.accepted.values():
            self.ids.update(section.extensions)
        self.wide_id, self.level_id = self.ids.get(TRANSPORT_CC, 0), self.ids.get(AUDIO_LEVEL, 0)
        sending = {section.source: section for section in plan.accepted.values() if section.sends and section.source}
        for source, track in list(self.tracks.items()):
            kept = sending.get(source)
            if kept is None or kept.codec.name != track.codec.name or kept.rids != track.rids:
                self.remove(track)
        for source, section in sending.items():
            if source not in self.tracks:
                self.tracks[source] = Track(self._participant_id, source, section.codec, self._asks, section.rids)
            self.tracks[source].codec = section.codec
            self._bind_declared(self.tracks[source], section)

    def _bind_declared(self, track: Track, section: UpSection) -> None:
        """SSRCs that the offer names; with several layers only MID and RID can tell them apart."""
        if section.rids or not section.ssrcs:
            return
        repairs = set(section.repairs.values())
        first = next((ssrc for ssrc in section.ssrcs if ssrc not in repairs), None)
        if first is None:
            return
        layer = self._bind(track, "", first)
        repair = section.repairs.get(first)
        if layer is not None and repair is not None:
            self._bind_repair(layer, repair)

    def learn(self, ssrc: int, payload_type: int, names: Mapping[int, bytes]) -> tuple[Layer | None, Layer | None]:
        """(layer, layer that this SSRC repairs), by MID and RID, or by the only section with this payload type."""
        section = self._section_of(payload_type, self._text(names, MID))
        track = self.tracks.get(section.source) if section is not None and section.source is not None else None
        if section is None or track is None:
            return None, None
        if payload_type == section.repair_type:
            layer = track.layers.get(self._text(names, REPAIRED_RID) if section.rids else "")
            if layer is not None:
                self._bind_repair(layer, ssrc)
            return None, layer
        rid = self._text(names, RID) if section.rids else ""
        if section.rids and rid not in section.rids:
            return None, None
        return self._bind(track, rid, ssrc), None

    def close(self) -> None:
        """Nothing is taken any more; whose streams these were is let go of."""
        for track in list(self.tracks.values()):
            self.remove(track)
        self._asks, self._on_layer = _Nobody(), _ignore

    def _section_of(self, payload_type: int, mid: str) -> UpSection | None:
        if mid:
            section = self._sections.get(mid)
            types = (section.codec.payload_type, section.repair_type) if section is not None else ()
            return section if payload_type in types else None
        fitting = [
            section
            for section in self._sections.values()
            if payload_type in (section.codec.payload_type, section.repair_type)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _text(self, names: Mapping[int, bytes], uri: str) -> str:
        return names.get(self.ids.get(uri, -1), b"").decode("ascii", "replace")

    def _bind(self, track: Track, rid: str, ssrc: int) -> Layer | None:
        known = track.layers.get(rid)
        if known is not None and known.ssrc == ssrc:
            return known
        if ssrc in self.by_ssrc or ssrc in self.by_repair:
            return None
        layer = Layer(track, rid, ssrc)
        if known is not None:
            self.by_ssrc.pop(known.ssrc, None)
            self._connection.forget(known.ssrc)
            self._forget_repairs(known)
            # The browser's limit of key frame requests is one of the source, whatever its SSRC.
            layer.key_frames = known.key_frames
        track.layers[rid] = self.by_ssrc[ssrc] = layer
        self._connection.ssrcs.add(ssrc)
        self._on_layer(layer)
        return layer

    def _bind_repair(self, layer: Layer, ssrc: int) -> None:
        if ssrc in self.by_ssrc or ssrc in self.by_repair:
            return
        self._forget_repairs(layer)
        self.by_repair[ssrc] = layer
        self._connection.ssrcs.add(ssrc)

    def _forget_repairs(self, layer: Layer) -> None:
        for old in [old for old, of in self.by_repair.items() if of is layer]:
            del self.by_repair[old]
            self._connection.forget(old)

    def remove(self, track: Track) -> None:
        """Nothing more is delivered from it; its forwards are released or moved by the room in this same event."""
        del self.tracks[track.source]
        track.layers.clear()  # which refer to it: see `dtls` on circles
        for table in (self.by_ssrc, self.by_repair):
            for ssrc in [ssrc for ssrc, layer in table.items() if layer.track is track]:
                del table[ssrc]
                self._connection.forget(ssrc)
