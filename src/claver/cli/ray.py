"""Options of commands that run on Ray."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.inputs import FilesCommand
from claver.errors import ClaverError

if TYPE_CHECKING:
    from claver.scale.work import Placement

_ADDRESS = re.compile(r"local|auto|ray://\S+|[\w.-]+:\d+")

RayOption = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        show_default=False,
        help="Run in actors of Ray: on this machine, or on the cluster at HOST:PORT or auto; "
        "pip install 'claver\\[scale]'.",
    ),
]
ActorsOption = Annotated[
    str | None,
    typer.Option(
        metavar="N|MIN-MAX", show_default=False, help="Actors of Ray, each with a model of its own; 1 if not given."
    ),
]
CpusOption = Annotated[
    float | None,
    typer.Option(
        "--cpus-per-actor",
        min=0.01,
        show_default=False,
        help="CPUs of each actor, a decoding thread on each; 1 if not given.",
    ),
]
RayDecodeTimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--decode-timeout",
        min=0.1,
        show_default=False,
        help="Seconds without a further frame after which a worker gives a file up; 60 if not given. A single file to "
        "recognize is read without a worker, and without a limit, unless --workers is given; with --ray there is none.",
    ),
]
GpusOption = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-actor",
        min=0.0,
        show_default=False,
        help="GPUs of each actor, 0.5 to share one; 1 if not given and there are some.",
    ),
]


class RayCommand(FilesCommand):
    """A command whose `--ray` may stand without an address: what follows is one only if it looks like one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As every command."""
        return super().parse_args(ctx, _with_address(args))


def _with_address(args: list[str]) -> list[str]:
    done: list[str] = []
    for at, arg in enumerate(args):
        if arg == "--":
            return [*done, *args[at:]]
        following = args[at + 1] if at + 1 < len(args) else ""
        bare = arg == "--ray" and not (_ADDRESS.fullmatch(following) and not os.path.lexists(following))
        done.append("--ray=local" if bare else arg)
    return done


def placement(
    ray: str | None,
    actors: str | None,
    cpus: float | None,
    gpus: float | None,
    workers: int | None,
    decode_timeout: float | None,
) -> Placement | None:
    """Where the actors are; None without `--ray`.

    Raises:
        ClaverError: options that do not go together.
    """
    if ray is None:
        given = {"--actors": actors, "--cpus-per-actor": cpus, "--gpus-per-actor": gpus}
        if lone := [name for name, value in given.items() if value is not None]:
            raise ClaverError(f"{lone[0]} is for actors of Ray: add --ray")
        return None
    if workers is not None:
        raise ClaverError("--workers is for this process; with --ray each actor decodes in --cpus-per-actor threads")
    if decode_timeout is not None:
        raise ClaverError("--decode-timeout is for worker processes; with --ray actors decode without a limit")
    from claver.scale.cluster import Actors
    from claver.scale.work import Placement

    return Placement(ray, Actors.parse(actors or "1", cpus=cpus or 1.0, gpus=gpus))
