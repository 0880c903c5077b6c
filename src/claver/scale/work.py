"""What actors do with videos: answers of a recogniser, or windows for an index; decoded in threads of the actor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from claver.errors import VideoError, in_short
from claver.inference.jobs import Record, Work, error_record
from claver.scale.actors import CHUNK, ActorPool, Open
from claver.scale.cluster import Actors, Cluster

if TYPE_CHECKING:
    from claver.inference.many_videos import EncodedVideo, Unencoded
    from claver.inference.recognizer import Recognizer
    from claver.inference.windows import WindowEncoder
    from claver.video.damage import OnDamage

R = TypeVar("R")
_FILES = 16  # of a task, where they may be long: their windows wait until all are done


@dataclass(frozen=True)
class Placement:
    """Where a job's actors are.

    Attributes:
        address: of the cluster, as of `Cluster`.
        actors: how many, and what each takes; it decodes in as many threads as it has CPUs.
    """

    address: str
    actors: Actors

    @property
    def threads(self) -> int:
        """Of an actor that decode."""
        return max(1, round(self.actors.cpus))

    def run(self, open_work: Open[R], failed: Callable[[str], R], items: Sequence[str], *, chunk: int) -> Iterator[R]:
        """The answers of actors, in any order; errors as of `Cluster` and `ActorPool`."""
        with Cluster(self.address, self.actors) as cluster:
            yield from ActorPool(open_work, cluster.settled(self.actors), failed, chunk=chunk)(items)


def recognize_on_ray(
    placement: Placement,
    open_recognizer: Callable[[str], Recognizer],
    *,
    top: int = 5,
    batch_size: int = 8,
    damaged: OnDamage = "answer",
) -> Work:
    """The work of a job that recognises videos in actors: names in, records out.

    Args:
        placement: where.
        open_recognizer: makes the recogniser, on a device such as `cuda`, in each actor; it pickles.
        top: answers of a record.
        batch_size: views computed at once.
        damaged: what is done with damaged videos.
    """
    opened = partial(_open_answers, open_recognizer, top, batch_size, damaged, placement.threads)
    chunk = max(1, CHUNK // batch_size) * batch_size  # so that batches are those of a run on one machine
    return partial(placement.run, opened, _no_answer, chunk=chunk)


def encode_on_ray(
    placement: Placement,
    open_encoder: Callable[[str], WindowEncoder],
    note: Callable[[str], str],
    paths: Sequence[str],
) -> Iterator[EncodedVideo | Unencoded]:
    """As `encode_videos`, in actors; the videos must have the same names on all machines.

    Args:
        placement: where.
        open_encoder: makes the encoder, on a device, in each actor; it pickles.
        note: as of `encode_videos`.
        paths: of the videos.
    """
    opened = partial(_open_windows, open_encoder, note, placement.threads)
    return placement.run(opened, partial(_no_windows, note), paths, chunk=_FILES)


def _device() -> str:
    """Of the actor in which it is called."""
    import ray

    return "cuda" if ray.get_gpu_ids() else "cpu"


def _open_answers(
    open_recognizer: Callable[[str], Recognizer], top: int, batch_size: int, damaged: OnDamage, threads: int
) -> Work:
    recognizer = open_recognizer(_device())

    def answers(paths: Sequence[str]) -> Iterator[Record]:
        for result in recognizer.stream(paths, batch_size=batch_size, threads=threads, damaged=damaged):
            yield result.to_dict(top)

    return answers


def _open_windows(
    open_encoder: Callable[[str], WindowEncoder], note: Callable[[str], str], threads: int
) -> Callable[[Sequence[str]], Iterable[EncodedVideo | Unencoded]]:
    from claver.inference.many_videos import encode_videos

    return partial(encode_videos, open_encoder(_device()), threads=threads, note=note)


def _cause(path: str) -> str:
    return f"{in_short(path)}: every process that read it died, by its decoder or for want of memory."


def _no_answer(path: str) -> Record:
    return error_record(path, _cause(path))


def _no_windows(note: Callable[[str], str], path: str) -> Unencoded:
    from claver.inference.many_videos import Unencoded

    try:
        noted = note(path)
    except OSError:
        noted = ""
    return Unencoded(path, VideoError(_cause(path)), note=noted)
