"""An exported model where a `Claver` is wanted: its towers are graphs, which onnxruntime runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from claver.errors import CheckpointError, ClaverError
from claver.models.block import Run
from claver.models.claver import Claver
from claver.models.exported.bank import ExportedBank
from claver.models.exported.manifest import BANK, STEP, TEXT, VIDEO, Manifest
from claver.models.exported.session import Session
from claver.models.learned import Learned
from claver.models.text.base import TextTower
from claver.models.tokenizer import find_tokenizer
from claver.video.transforms import Preprocess

_TOWERS = ("image", "temporal", "readout")


class ExportedText(TextTower):
    """The text tower of an exported model; its graph is loaded when the first text is encoded."""

    explainable = False
    contents: Tensor

    def __init__(self, path: Path, manifest: Manifest) -> None:
        super().__init__()
        config = manifest.config
        self.context, self.width, self.pad = config.text.context, config.embedding, manifest.text_pad
        self.rule, self.eot = manifest.text_rule, config.text.eot
        self.whole = self.rule == "whole"
        self._path, self._session = path, None
        # Vectors that are cached on disk go by a tower's state: this one's is what its file holds.
        digest = bytes.fromhex(manifest.files[path.name].sha256)
        self.register_buffer("contents", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    _session: Session | None

    def find_last(self, tokens_CL: Tensor) -> Tensor:
        """As of the tower that was exported."""
        length = tokens_CL.shape[1]
        if self.rule == "end":
            return ((tokens_CL == self.eot).cumsum(1) == 0).sum(1)
        if self.rule == "whole":
            return tokens_CL.new_full((len(tokens_CL),), length - 1)
        return torch.where(tokens_CL != self.pad, torch.arange(length), -1).amax(1)

    def last_token(self, tokens_CL: Tensor) -> Tensor:
        """As of the tower that was exported.

        Raises:
            ValueError: rows that are too long, or of which one does not end.
        """
        length = tokens_CL.shape[1]
        if length > self.context or (self.whole and length != self.context):
            raise ValueError(f"texts have {length} tokens; the exported text encoder takes {self.context}")
        last = self.find_last(tokens_CL)
        if bool(((last < 0) | (last >= length)).any()):
            raise ValueError("a text does not end within its row of tokens")
        return last

    def encode(self, tokens_CL: Tensor, last_C: Tensor, run: Run) -> Tensor:
        """As of every text tower; where a row ends the graph finds by itself."""
        if self._session is None:
            self._session = Session(self._path)
        return self._session(tokens_CL)[0]

    def read_weights(self, length: int) -> Tensor:
        """None of its parts can be looked at."""
        raise ClaverError("an exported model cannot be explained; use the model that it was exported from")


class ExportedModel(Claver):
    """A model of graphs, for recognising and watching; whatever looks into its towers is told that they are not there.

    Attributes:
        folder: where its files are.
        manifest: what is known of it.
        bank: the texts that it came with.
    """

    contents: Tensor
    given_texts: Mapping[str, Tensor]  # type: ignore[misc]  # each model's own

    def __init__(self, folder: str | Path) -> None:
        """Load the folder that `claver export` wrote.

        Raises:
            CheckpointError: it is damaged, or was not exported for onnxruntime.
            ClaverError: onnxruntime is not installed.
        """
        nn.Module.__init__(self)
        self.folder = Path(folder).expanduser()
        self.manifest = Manifest.load(self.folder)
        if self.manifest.form != "onnx":
            raise CheckpointError(f"{folder} was exported for torch.export.load; claver runs those of --format onnx")
        self.manifest.verify(self.folder)
        self.config = self.manifest.config
        self.takes_bytes = self.manifest.takes_bytes
        self.bank = ExportedBank.load(self.folder / BANK, self.config.embedding)
        self.given_texts = self.bank.vectors()
        frames = self.config.temporal.frames
        self.learned = Learned(self.bank.names, self.bank.texts, frames, views=self.manifest.views)
        self.tokenizer = find_tokenizer(self.folder, self.config.text)
        self._add_parts()
        self.eval()

    def _add_parts(self) -> None:
        self.text = ExportedText(self._path(TEXT), self.manifest)
        self._video = Session(self._path(VIDEO))
        self._step: Session | None = None
        self.logit_scale = nn.Parameter(torch.tensor(self.manifest.logit_scale), requires_grad=False)
        if self.config.bias:
            self.logit_bias = nn.Parameter(torch.tensor(self.manifest.logit_bias or 0.0), requires_grad=False)
        digest = bytes.fromhex(self.manifest.files[self._path(VIDEO).name].sha256)
        self.register_buffer("contents", torch.frombuffer(bytearray(digest), dtype=torch.uint8))

    def _path(self, graph: str) -> Path:
        if graph not in self.manifest.graphs:
            raise CheckpointError(f"{self.folder} has no graph {graph!r}; export the model again")
        return self.folder / str(self.manifest.graphs[graph]["file"])

    def __getattr__(self, name: str) -> Any:
        if name in _TOWERS:
            raise ClaverError("an exported model has no towers to look into; use the model that it was exported from")
        return super().__getattr__(name)

    @property
    def dtype(self) -> torch.dtype:
        """What goes into the graphs and comes out, whatever they store weights in."""
        return torch.float32

    def check_views(self, frames: int, preprocess: Preprocess) -> None:
        """Raise `ClaverError` if the graphs do not take clips of so many frames, prepared like this."""
        if self.manifest.fixed_frames and frames != (own := self.config.temporal.frames):
            raise ClaverError(f"this model was exported for clips of {own} frames, not {frames}; export it for those")
        own_pixels = self.config.preprocess
        if (preprocess.mean, preprocess.std) != (own_pixels.mean, own_pixels.std) and self.takes_bytes:
            raise ClaverError("this model normalises pixels itself; other constants need another export")

    def encode_video(self, video: Tensor) -> Tensor:
        """Clips [B, T, 3, h, w] to frame embeddings [B, T, E]; pixels are bytes where `takes_bytes` says so."""
        return self._video(video)[0]

    @property
    def has_step(self) -> bool:
        """Whether it was exported for streams, too."""
        return STEP in self.manifest.graphs

    def step(self, pixels_SCHW: Tensor, seen_G: Tensor, keys: Tensor, values: Tensor) -> Sequence[Tensor]:
        """The next frame of S streams in G clips each, as of `claver.export.graphs.StepGraph`."""
        if self._step is None:
            self._step = Session(self._path(STEP))
        return self._step(pixels_SCHW, seen_G, keys, values)

    def save_pretrained(self, folder: str | Path) -> None:
        """Not for exported models: there are no weights to write."""
        raise ClaverError("an exported model cannot be saved as a model folder; copy its folder as it is")
