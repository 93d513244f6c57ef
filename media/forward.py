"""One track on its way to one subscriber: own SSRC, own numbers, own timestamps; repairs and sender reports too.

A (key, SSRC, number) never goes out with other bytes; which layer to send is chosen by the subscriber.
"""

from __future__ import annotations

import secrets
import struct
from collections import deque
from typing import TYPE_CHECKING

from media.feedback import JUMP, SentReports
from media.rtcp import sender_report
from media.rtp import (
    ONE_BYTE,
    STAMP,
    VIDEO_HEADER,
    unwrap,
    vp8_numbers,
    vp8_renumber,
    write_audio,
    write_padding,
    write_video,
)
from media.track import Layer, Track

if TYPE_CHECKING:
    from media.connection import Connection

FIRST_NUMBER_BELOW = 1 << 14
REPAIRS_A_PACKET_MAX = 3
CLOSED_OVER_KEPT = 32
CIPHERTEXTS_KEPT = 256
TIMESTAMP_STRAY_S = 10
# How far back a probe takes its packets from.
FILL_FROM_LAST = 64
_MASK = 1023


class Forward:
    """Made for a section of a down offer; sends once `attach`ed."""

    def __init__(self, connection: Connection, track: Track, cname: bytes, sent_reports: SentReports) -> None:
        self.connection = connection
        self.track = track
        self._is_video = track.is_video
        self.cname = cname
        self.usable_bps: int | None = None
        # Of 256, by its receiver's last report, and when that came.
        self.fraction_lost = 0
        self.heard_ns = 0
        self._sent_reports = sent_reports
        self.ssrc = _new_ssrc()
        self.repair_ssrc: int | None = _new_ssrc() if track.is_video else None
        self.payload_type = 0
        self.repair_type: int | None = None
        self.target: Layer | None = None
        self.layer: Layer | None = None
        self.is_attached = False
        self.is_waiting = True
        # On purpose: since its receiver's link takes no picture now; for a moment, until what waits on it has gone.
        self.is_paused = self.is_held = False
        self.highest_out = self.first_out = 0
        self.octets = self.packets = 0
        self._from_number = 0
        self._highest_in = 0
        self._offset = 0
        # (source number that was left out, offset below it), oldest first
        self._closed_over: deque[tuple[int, int]] = deque(maxlen=CLOSED_OVER_KEPT)
        self._timestamp_offset = secrets.randbits(32)
        self._picture_offset = self._base_offset = 0
        self._last_payload = b""
        self._last_timestamp = self._last_ns = 0
        self._repair_number = self._first_repair = secrets.randbelow(FIRST_NUMBER_BELOW)
        self._repairs = bytearray(_MASK + 1)
        self._fills = 0
        self._ciphertexts: dict[int, bytes] = {}
        self._begin_numbers()

    # ---- being in use

    def attach(self, payload_type: int, repair_type: int | None) -> None:
        """The subscriber has agreed and its keys are there."""
        self.payload_type, self.repair_type = payload_type, repair_type
        if not self.is_attached:
            self.is_attached = True
            self.track.forwards.append(self)
            self.await_key_frame()

    def detach(self) -> None:
        """Nothing is sent from this moment on."""
        if self.is_attached:
            self.is_attached = False
            self.track.forwards.remove(self)

    def move_to(self, track: Track) -> None:
        """The same source published anew (a reload): numbers and time go on."""
        was_attached = self.is_attached
        self.detach()
        self.track, self.target = track, None
        self.is_waiting = True
        if was_attached:
            self.attach(self.payload_type, self.repair_type)

    def await_key_frame(self) -> None:
        """Send nothing more until a key frame passes (audio: until the next packet), and ask for one."""
        self.is_waiting = True
        if self.wants_picture:
            self.track.want_key_frame(self.target)

    @property
    def repaired(self) -> int:
        """Packets sent on the repair stream."""
        return self._repair_number - self._first_repair

    @property
    def wants_picture(self) -> bool:
        return not self.is_paused and not self.is_held

    def hold(self) -> None:
        """Send nothing until `let_go`, which begins with a key frame again."""
        self.is_held = self.is_waiting = True

    def let_go(self) -> None:
        self.is_held = False
        self.await_key_frame()

    def pause(self) -> None:
        """Send no picture until `resume`, whatever is asked for."""
        self.is_paused = self.is_waiting = True

    def resume(self, target: Layer) -> None:
        self.is_paused, self.target = False, target
        self.await_key_frame()

    # ---- packets

    def relay(self, layer: Layer) -> None:
        """Send the packet that `layer` holds, if it belongs to what this receiver gets."""
        if self.is_waiting or layer is not self.layer:
            if not self._may_begin(layer):
                return
            self._begin(layer)
        number = layer.number
        ahead = number - self._highest_in
        if ahead == 1 or 0 < ahead <= JUMP:
            out = number + self._offset
            self._highest_in = number
        elif ahead > 0:
            self._jumped(layer)
            return
        else:
            out = self._late(number)
            if out < 0:
                return
        self._send(layer, out)
        if layer.is_repair and not self.is_waiting:
            # Its receiver waits for it by now, and asked in vain: sent twice, since it may well be lost here too.
            self._send_repair(out, layer.stamp)

    def close_over(self, layer: Layer) -> None:
        """The packet at hand is padding and ends here; numbers close over it."""
        if layer is self.layer and not self.is_waiting and layer.number == self._highest_in + 1:
            self._closed_over.append((layer.number, self._offset))
            self._offset -= 1
            self._highest_in = layer.number

    def repair(self, sequence: int, stamp: int) -> int:
        """Answer a NACK for one number of ours; gives the bytes sent, 0 when there is nothing to send."""
        out = unwrap(self.highest_out, sequence)
        slot = out & _MASK
        if not self.first_out <= out <= self.highest_out or self.highest_out - out > _MASK:
            return 0
        if self._repairs[slot] >= REPAIRS_A_PACKET_MAX or self.layer is None:
            return 0
        if self.repair_type is None or self.repair_ssrc is None:
            return self._repeat(out, slot)
        sent = self._send_repair(out, stamp)
        self._repairs[slot] += 1 if sent else 0
        return sent

    def fill(self, stamp: int) -> int:
        """Send an old packet again, else padding, only for its bytes; gives how many, 0 when that can't be."""
        if not self.is_attached or self.repair_type is None or self.repair_ssrc is None:
            return 0
        self._fills += 1
        out = self.highest_out - self._fills % FILL_FROM_LAST
        sent = self._send_repair(out, stamp) if self.layer is not None and out >= self.first_out else 0
        if sent:
            return sent
        self._repair_number += 1
        timestamp = self._last_timestamp
        packet = write_padding(self.repair_type, self._repair_number, timestamp, self.repair_ssrc, stamp)
        return len(packet) if self.connection.send_rtp(packet) is not None else 0

    def told(self, fraction: int, now_ns: int) -> None:
        """Its receiver reports what it loses."""
        self.fraction_lost, self.heard_ns = fraction, now_ns

    def pass_report(self, layer: Layer, now_ns: int) -> None:
        """The publisher's own sender report goes on, in this stream's time, if it is about what is sent."""
        if layer is not self.layer or layer.report is None or self.packets == 0:
            return
        ntp, timestamp = layer.report
        self._sent_reports.note(ntp, now_ns)
        report = sender_report(
            self.ssrc,
            ntp,
            timestamp + self._timestamp_offset,
            packets=self.packets,
            octets=self.octets,
            cname=self.cname,
        )
        self.connection.send_rtcp(report)

    # ---- inside

    def _begin_numbers(self) -> None:
        self.first_out = secrets.randbelow(FIRST_NUMBER_BELOW)
        self.highest_out = self.first_out - 1

    def _may_begin(self, layer: Layer) -> bool:
        if not self.track.is_video:
            return True
        if not self.wants_picture:
            return False
        return layer.is_key and (self.layer is None or self.target is None or layer is self.target)

    def _begin(self, layer: Layer) -> None:
        """Go on, or over to this layer, with the packet at hand."""
        previous, self.layer = self.layer, layer
        if previous is not None and previous is not layer:
            self._timestamp_offset = self._mapped_offset(previous, layer)
            self._continue_pictures(layer)
        self._offset = self.highest_out + 1 - layer.number
        self._from_number = layer.number
        self._highest_in = layer.number - 1
        self._closed_over.clear()
        self.is_waiting = False

    def _send(self, layer: Layer, out: int) -> None:
        payload, timestamp = layer.payload, layer.timestamp + self._timestamp_offset & 0xFFFFFFFF
        kind, number = self.payload_type | layer.marker, out & 0xFFFF
        connection = self.connection
        if self._is_video:
            path = connection.path
            if path is not None and path.is_congested:
                self.await_key_frame()
                return
            self._last_payload = payload
            packet = VIDEO_HEADER.pack(0x90, kind, number, timestamp, self.ssrc, ONE_BYTE, 1, STAMP | layer.stamp)
            if self._picture_offset or self._base_offset:
                payload = vp8_renumber(payload, self._picture_offset, self._base_offset)
            datagram = connection.send_rtp(packet + payload, copied=self.repair_type is None)
        else:
            header = write_audio(kind, number, timestamp, self.ssrc, layer.stamp, level=layer.level)
            datagram = connection.send_rtp(header + payload)
        if datagram is None:
            return
        self.packets += 1
        self.octets += len(payload)
        if out > self.highest_out:
            self.highest_out = out
            self._last_timestamp, self._last_ns = timestamp, layer.now_ns
        if self._is_video:
            self._repairs[out & _MASK] = 0
            if self.repair_type is None:
                self._keep(out, datagram)
        if self.packets == 1:
            self.pass_report(layer, layer.now_ns)

    def _jumped(self, layer: Layer) -> None:
        """The source began again far ahead: its numbers are closed over."""
        if self.track.is_video and not layer.is_key:
            self.await_key_frame()
            return
        self._begin(layer)
        self._highest_in = layer.number
        self._send(layer, self.highest_out + 1)

    def _late(self, number: int) -> int:
        """Our number for a packet that comes after a later one; -1 when it has none."""
        if number < self._from_number:
            return -1
        offset = self._offset
        for left_out, below in reversed(self._closed_over):
            if number > left_out:
                break
            if number == left_out:
                return -1
            offset = below
        return number + offset

    def _source_number(self, out: int) -> int:
        number = out - self._offset
        for left_out, below in reversed(self._closed_over):
            if number > left_out:
                break
            number = out - below
        return number

    def _renumbered(self, payload: bytes) -> bytes:
        if self._picture_offset or self._base_offset:
            return vp8_renumber(payload, self._picture_offset, self._base_offset)
        return payload

    def _continue_pictures(self, layer: Layer) -> None:
        """Picture id and TL0PICIDX go on by one over a switch."""
        if self.track.codec.name != "vp8":
            return
        picture, base = vp8_numbers(self._last_payload)
        next_picture, next_base = vp8_numbers(layer.payload)
        if picture >= 0 and next_picture >= 0:
            self._picture_offset = picture + self._picture_offset + 1 - next_picture
        if base >= 0 and next_base >= 0:
            self._base_offset = base + self._base_offset + 1 - next_base

    def _mapped_offset(self, previous: Layer, layer: Layer) -> int:
        """The offset that keeps time going over a switch: by both sender reports, else by arrival."""
        rate = self.track.codec.clock_rate
        by_arrival = self._last_timestamp + max(1, (layer.now_ns - self._last_ns) * rate // 1_000_000_000)
        timestamp = by_arrival
        if previous.track is layer.track and previous.report is not None and layer.report is not None:
            elapsed = (layer.report[0] - previous.report[0]) * rate >> 32
            since = _signed(layer.timestamp - layer.report[1])
            timestamp = previous.report[1] + elapsed + since + self._timestamp_offset
        ahead = _signed(timestamp - self._last_timestamp)
        if not 0 < ahead < TIMESTAMP_STRAY_S * rate:
            timestamp = by_arrival
        return (timestamp - layer.timestamp) & 0xFFFFFFFF

    def _keep(self, out: int, datagram: bytes) -> None:
        self._ciphertexts[out] = datagram
        if len(self._ciphertexts) > CIPHERTEXTS_KEPT:
            del self._ciphertexts[next(iter(self._ciphertexts))]

    def _send_repair(self, out: int, stamp: int) -> int:
        """One of our numbers again, as a new packet of the repair stream; gives the bytes, 0 when it isn't kept."""
        if self.layer is None or self.repair_type is None or self.repair_ssrc is None:
            return 0
        number = self._source_number(out)
        held = self.layer.ring.find(number) if number >= self._from_number else None
        if held is None:
            return 0
        _, _, timestamp, marker, payload = held
        self._repair_number += 1
        header = write_video(
            self.repair_type | marker,
            self._repair_number,
            timestamp + self._timestamp_offset,
            self.repair_ssrc,
            stamp,
        )
        packet = header + struct.pack("!H", out & 0xFFFF) + self._renumbered(payload)
        return len(packet) if self.connection.send_rtp(packet) is not None else 0

    def _repeat(self, out: int, slot: int) -> int:
        datagram = self._ciphertexts.get(out)
        if datagram is None:
            return 0
        self._repairs[slot] += 1
        self.connection.send_again(datagram)
        return len(datagram)


def _signed(difference: int) -> int:
    return ((difference + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def _new_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFE) + 1
