"""`claver app`: a web page for people who use no terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from claver.cli.inputs import given_actions
from claver.cli.model import (
    DeviceOption,
    DtypeOption,
    FramesOption,
    ModelOption,
    PreprocessOption,
    TemporalOption,
    TextsOption,
    named_model,
    open_model,
)
from claver.errors import ClaverError
from claver.terminal import say, shown, tell

if TYPE_CHECKING:
    from claver.index.index import Index
    from claver.inference.recognizer import Recognizer
    from claver.models import Claver

EPILOG = """
[bold]Examples[/]

claver app --model runs/quickstart/kmct\n
claver app --model MODEL --actions "waves, claps, sits down" --root videos/\n
claver app --model MODEL --host 0.0.0.0 --password SECRET
"""

ActionsOption = Annotated[
    str | None,
    typer.Option(
        help="What is looked for where a visitor writes no words: as in `claver recognize`. If not given, the actions "
        "that the model was trained on; where it has none, visitors must write some.",
        show_default=False,
    ),
]


def app(
    model: ModelOption = None,
    actions: ActionsOption = None,
    texts: TextsOption = None,
    index: Annotated[
        Path | None, typer.Option(help="An index that `claver index` made: the page then has a tab to search in it.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="A folder whose videos visitors may choose by name; nothing else is opened.")
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on: 127.0.0.1 is this machine alone, 0.0.0.0 every machine that reaches it."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free.")] = 7860,
    password: Annotated[
        str | None,
        typer.Option(
            envvar="CLAVER_PASSWORD",
            show_envvar=True,
            show_default=False,
            help="What visitors must know. Others on this machine can read it in the list of processes; in the "
            "environment they cannot.",
        ),
    ] = None,
    temporal: TemporalOption = None,
    frames: FramesOption = None,
    preprocess: PreprocessOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = "float32",
) -> None:
    """Open a web page: recognise, time lines and live answers for people who use no terminal.

    It listens on this machine alone unless --host is given, sends nothing to anybody, and deletes what is uploaded.
    Ctrl-C ends it.
    """
    from claver.app.root import Root
    from claver.app.serving import check_gradio, is_local, private_folder, serving

    check_gradio()
    if password is not None and not password.strip():
        raise ClaverError("--password is empty; give one, or leave it out")
    opened = None if root is None else Root(root)
    named = None if actions is None else given_actions(actions)
    settings: dict[str, Any] = {"temporal": temporal, "frames": frames, "device": device, "dtype": dtype}
    loaded = open_model(model, preprocess=preprocess, **settings)
    usual = _usual(loaded, named, texts, frames)
    with private_folder() as folder:
        from claver.app.service import Service

        called, found = _called(named_model(model)), None if index is None else _opened_index(index, loaded)
        service = Service(loaded, usual, folder, model_name=called, root=opened, index=found)
        with serving(service, folder, host, port, password) as server:
            if not is_local(host):
                tell(_open_to(host, password, opened))
            say(f"the page is at {server.address} (Ctrl-C ends it)")
            try:
                server.wait()
            except KeyboardInterrupt:
                tell("the page is closed")
                raise typer.Exit(130) from None


def _opened_index(path: Path, model: Claver) -> Index:
    """An index that was made with this model; nobody is to learn at the first search that it was not."""
    from claver.index.index import Index
    from claver.index.settings import fingerprint_of

    index = Index.open(path)
    index.settings().require_model(fingerprint_of(model), str(path))
    return index


def _called(model: str) -> str:
    """What visitors read of a model: an id, or the end of a path; folders of this machine are nobody's business."""
    return "/".join(Path(model).parts[-2:]) if Path(model).exists() else model


def _usual(
    model: Claver, actions: str | tuple[str, ...] | None, texts: str | None, frames: int | None
) -> Recognizer | None:
    """What answers where a visitor writes no words; None where there is nothing to answer with."""
    from claver.cli.model import progress_shown
    from claver.inference.recognizer import Recognizer
    from claver.text import read_actions

    if actions is None and model.learned is None:
        return None
    competing = None if actions is None else read_actions(actions, texts=texts)
    with progress_shown("encoding texts") as progress:
        return Recognizer(
            model, competing, texts=texts if competing is None else None, frames=frames, progress=progress
        )


def _open_to(host: str, password: str | None, root: Any) -> str:
    """Who can do what on a page that others reach."""
    what = "recognise videos that they upload"
    if root is not None:
        what += f", and watch every video below {shown(str(root.folder))}"
    who = "everybody who knows the password" if password is not None else "EVERYBODY, without a password,"
    plain = "; the password and the videos travel unencrypted, so put a server with TLS in front of it elsewhere"
    return f"on {host} {who} who reaches this machine can {what}{plain}"
