"""Damage of a video file, as far as a decoder can know, for the frames that are used."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from claver.errors import ClaverError
from claver.video.ffmpeg_log import Messages, collected_errors
from claver.video.times import MAX_REORDER

# Streams that are cut out of a broadcast begin anywhere; what comes before their first key frame is not missed.
JOINED_ANYWHERE = ("mpegts", "mpeg", "h264", "hevc", "mpegvideo")

# A frame leaves the decoder within this many packets after its own; twice what codecs may hold back.
REACH = 2 * MAX_REORDER

# Packets from the mark that a splice leaves to the key frame with which the next stream begins, at most.
SPLICE = 3
OnDamage = Literal["answer", "skip", "fail"]
"""What to do with a damaged video: answer and mark it, leave it out, or count it as an error."""
ON_DAMAGE: tuple[OnDamage, ...] = ("answer", "skip", "fail")


@dataclass(frozen=True)
class Damage:
    """Known damage of a video, or of the frames that were used of it. There is no such object for a sound one.

    Attributes:
        share: of the frames used, the part that is concealed or may inherit what was, in [0, 1].
        present: the part of the declared length that is there, in [0, 1); None when it is all there or not declared.
        cause: the first sign of damage in words.
    """

    share: float = 0.0
    present: float | None = None
    cause: str = ""

    def forbids(self, on_damage: OnDamage) -> bool:
        """Whether there is to be no answer: there is none from damaged frames alone, whatever the setting."""
        return on_damage != "answer" or self.share == 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def __str__(self) -> str:
        return self.describe("the frames used")

    def describe(self, frames: str) -> str:
        """In words, `frames` being what `share` is a share of."""
        parts = [f"{_percent(self.share)} of {frames} damaged"] if self.share else []
        parts += [f"truncated at {_percent(self.present)}"] if self.present is not None else []
        return ", ".join([*parts, self.cause])


@dataclass(frozen=True)
class Ending:
    """How a file ends too early: the `cause`, and the part of the declared length that is `present`, if known."""

    cause: str
    present: float | None = None


@dataclass(frozen=True, slots=True)
class _Delivered:
    """A frame as the decoder gave it: its packet, if it said so, else the last one fed before."""

    packet: int
    key: bool


@dataclass
class Signs:
    """What a plain decode met: faults by the number of their packet, and the frames in the order of their delivery.

    A fault is an error, a message in FFmpeg's log, or a mark on a packet or frame. That of packet P, one more than the
    last, is a fault of the file's end.
    """

    faults: dict[int, str] = field(default_factory=dict)
    packets: int = 0
    demuxer: str = ""
    gap: str = ""  # what the demuxer said first: an unknown part of the file cannot be read
    _marked: int | None = None
    _frames: list[_Delivered] = field(default_factory=list)

    @property
    def joined(self) -> bool:
        """Whether the stream may begin anywhere, being cut out of a broadcast."""
        return self.demuxer in JOINED_ANYWHERE

    @contextmanager
    def of_demuxing(self) -> Iterator[None]:
        """Around the call that gives the next packet: what it says, or the error it ends in, is a fault before it."""
        with self._noted(self.packets) as messages:
            yield
        self.gap = self.gap or told_by(self.demuxer, messages)

    @contextmanager
    def of_decoding(self, packet: Any | None) -> Iterator[None]:
        """Around the call that decodes a packet, or drains the decoder."""
        self._take_mark(packet)
        self.packets += packet is not None
        with self._noted(self.packets - (packet is not None)):
            yield

    def _take_mark(self, packet: Any | None) -> None:
        """Note a packet that the demuxer marked; in a broadcast not one before a key frame, where there is a splice."""
        waited = None if self._marked is None else self.packets - self._marked
        if waited is not None and (packet is None or (waited >= SPLICE and not packet.is_keyframe)):
            self._note(self._marked or 0, "data are missing within it")
        if packet is None or packet.is_keyframe or (waited or 0) >= SPLICE:
            self._marked = None
        if packet is not None and packet.is_corrupt:
            if self.joined:
                self._marked = self.packets
            else:
                self._note(self.packets, "the file ends or is damaged within it")

    def deliver(self, frame: Any) -> None:
        """Note a frame that was decoded."""
        packet = frame.pts if frame.pts is not None else max(self.packets - 1, 0)
        self._frames.append(_Delivered(packet, bool(frame.key_frame)))
        if frame.is_corrupt:
            self._note(packet, "it is marked as corrupt")

    def damaged(self, *, by_position: bool) -> frozenset[int]:
        """The delivered frames with a fault since the last key frame from which they decode.

        They are named by their position in the order of delivery, or by the number of their packet.
        """
        if not self.faults:
            return frozenset()
        keys = sorted((frame.packet, place) for place, frame in enumerate(self._frames) if frame.key)
        faults = sorted(self.faults)
        bad = [(at, frame.packet) for at, frame in enumerate(self._frames) if _inherits(frame.packet, at, keys, faults)]
        return frozenset(position if by_position else packet for position, packet in bad)

    def first_fault(self) -> str:
        """The first of the faults in words; empty when there is none."""
        return next((f"in packet {packet}: {cause}" for packet, cause in sorted(self.faults.items())), "")

    def lost(self) -> Sequence[int]:
        """The faulty packets that gave no frame, but for those before the first key frame of a stream cut anywhere."""
        shown = {frame.packet for frame in self._frames}
        begin = min((frame.packet for frame in self._frames if frame.key), default=0) if self.joined else 0
        return sorted(packet for packet in self.faults if begin <= packet < self.packets and packet not in shown)

    @contextmanager
    def _noted(self, packet: int) -> Iterator[Messages]:
        with collected_errors() as messages:
            try:
                yield messages
            except Exception as error:
                self._note(packet, str(messages[0][2] if messages else getattr(error, "strerror", None) or error))
                raise
        if messages:
            self._note(packet, messages[0][2])

    def _note(self, packet: int, message: str) -> None:
        self.faults.setdefault(packet, sys.intern(_tidy(message)))  # of millions that are the same, one is kept


@dataclass
class PassingSigns(Signs):
    """The signs of a decode of any length, in bounded memory: each frame is judged soon after it was delivered."""

    _keys: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=REACH))
    _shown: deque[int] = field(default_factory=lambda: deque(maxlen=2 * REACH))
    _first: str = ""
    _begin: int | None = None  # the packet of the first key frame
    _past: int | None = None  # the last faulty packet of those that are long past
    _delivered: int = 0
    _lost: int = 0

    @property
    def undecided(self) -> bool:
        """Whether a mark still waits for what follows it, to be a fault or the sign of a splice."""
        return self._marked is not None

    def place(self, frame: Any) -> tuple[int, int]:
        """Of the frame delivered last, its packet and its position, by which `inherits` knows it."""
        return self._shown[-1], self._delivered - 1

    def inherits(self, packet: int, position: int) -> bool:
        """Whether there was a fault since the last key frame from which a frame decodes."""
        faults = sorted(self.faults) if self._past is None else [self._past, *sorted(self.faults)]
        return bool(faults) and _inherits(packet, position, sorted(self._keys), faults)

    def deliver(self, frame: Any) -> None:
        """Note a frame that was decoded, and settle the faults of packets that are long past."""
        super().deliver(frame)
        delivered = self._frames.pop()
        self._shown.append(delivered.packet)
        if delivered.key:
            self._keys.append((delivered.packet, self._delivered))
            if self._begin is None and self.joined:
                self._lost = 0
            self._begin = delivered.packet if self._begin is None else min(self._begin, delivered.packet)
        self._delivered += 1
        self._settle()

    def first_fault(self) -> str:
        """As for `Signs`, also when it is long past."""
        return self._first

    def lost(self) -> Sequence[int]:
        """As many as the faulty packets that gave no frame; which they were is forgotten."""
        return range(self._lost + sum(map(self._gave_nothing, self.faults)))

    def _note(self, packet: int, message: str) -> None:
        super()._note(packet, message)
        self._first = self._first or super().first_fault()
        self._settle()

    def _settle(self) -> None:
        """Forget the faults of packets whose frames would be there; the last tells of a fault since a key frame."""
        for fault in sorted(fault for fault in self.faults if fault < self.packets - REACH):
            self._lost += self._gave_nothing(fault)
            self._past = fault
            del self.faults[fault]

    def _gave_nothing(self, packet: int) -> bool:
        begun = not self.joined or self._begin is None or self._begin <= packet
        return begun and packet < self.packets and packet not in self._shown


def judge(signs: Signs, share: float, ending: Ending | None, complaint: str = "", *, whole: bool) -> Damage | None:
    """The damage to report with an answer; None when nothing is known to be wrong.

    Args:
        signs: of the decode that gave its frames.
        share: of these frames that are damaged.
        ending: how the file ends early, if it does.
        complaint: what the demuxer said when it listed the packets.
        whole: the decode went to the end, and its frames were counted: those that are missing put others out of place.
    """
    lost = signs.lost() if whole else []
    causes = [signs.first_fault()] if share else []
    causes += [ending.cause] if ending else []
    causes += [f"{len(lost)} of its {signs.packets} packets give no frame"] if lost else []
    gap = signs.gap or complaint
    causes += [gap] if gap else []
    present = ending.present if ending else None
    return Damage(share, present, causes[0]) if causes else None


def checked_on_damage(text: str) -> OnDamage:
    """A text as what to do with damaged videos.

    Raises:
        ClaverError: it is none of those.
    """
    for allowed in ON_DAMAGE:
        if text == allowed:
            return allowed
    raise ClaverError(f"damaged is one of {', '.join(ON_DAMAGE)}, not {text!r}")


def told_by(name: str, messages: Messages) -> str:
    """The first message of one of FFmpeg's parts, or nothing."""
    return next((_tidy(message) for _, speaker, message in messages if speaker == name), "")


def _tidy(message: str) -> str:
    return " ".join(message.split())[:120].rstrip(" .!")


def _inherits(packet: int, position: int, keys: Sequence[tuple[int, int]], faults: Sequence[int]) -> bool:
    entry = 0
    # Open groups of pictures have frames that follow a key frame in the file and are shown before it.
    for key, shown in reversed(keys[: bisect_right(keys, (packet, sys.maxsize))]):
        if shown <= position:
            entry = key
            break
    at = bisect_right(faults, entry - 1)
    return at < len(faults) and faults[at] <= packet


def _percent(part: float) -> str:
    """Whole per cent, and neither none for a few nor all for most."""
    return f"{min(max(round(100 * part), 1), 99 if part < 1 else 100)} %"
