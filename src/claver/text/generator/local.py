"""A causal language model from a folder, run here with `transformers`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from claver.errors import ClaverError
from claver.text.generator.answers import Answer, Endpoint, Sampling, TextRequest
from claver.text.generator.forms import STOPS

_INERT: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
"""Nothing is downloaded, and no code of the folder is run; left open, transformers asks at the terminal."""


class LocalModel:
    """A model in a folder as `save_pretrained` writes it; texts are drawn a batch at a time.

    Attributes:
        name: the folder's name.
        endpoint: `chat` if it has a chat template, else `completion`.
        batch: texts drawn at once.
        workers: 1.
    """

    workers = 1

    def __init__(
        self,
        folder: Path,
        *,
        endpoint: Endpoint | None = None,
        sampling: Sampling | None = None,
        batch: int = 8,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        """Load the model; nothing is downloaded, and no code of the folder is run.

        Args:
            folder: the model's.
            endpoint: `chat` or `completion`; by default what the model is made for.
            sampling: temperature, top-p, limit of tokens.
            batch: texts drawn at once.
            device: where.
            seed: of the sampling; equal requests in an equal order give equal texts.

        Raises:
            ClaverError: `transformers` is missing, or the folder holds no such model.
        """
        self.name, self.batch, self.sampling = folder.resolve().name, batch, sampling or Sampling()
        self._tokenizer, self._model = _load(folder, device)
        templated = bool(self._tokenizer.chat_template)
        self.endpoint: Endpoint = endpoint or ("chat" if templated else "completion")
        if self.endpoint == "chat" and not templated:
            raise ClaverError(f"the model in {folder} has no chat template; use --endpoint completion")
        self._stopped = threading.Event()
        torch.manual_seed(seed)

    async def ask(self, requests: Sequence[TextRequest]) -> list[Answer]:
        """An answer to each request, drawn together; cancelled, the drawing ends at the next token.

        Raises:
            ClaverError: the batch does not fit into memory.
        """
        try:
            return await asyncio.to_thread(self._draw, requests)
        except torch.OutOfMemoryError:
            message = f"{len(requests)} texts at once do not fit into memory; lower --concurrency or --max-tokens"
            raise ClaverError(message) from None
        except asyncio.CancelledError:
            self._stopped.set()
            raise

    async def close(self) -> None:
        """Nothing to let go of."""

    @torch.inference_mode()
    def _draw(self, requests: Sequence[TextRequest]) -> list[Answer]:
        inputs = self._tokenizer(
            [self._text(request) for request in requests],
            return_tensors="pt",
            padding=True,
            add_special_tokens=self.endpoint == "completion",  # a chat template writes them itself
        ).to(self._model.device)
        ids = self._model.generate(**inputs, **self._settings())[:, inputs["input_ids"].shape[1] :]
        read = inputs["attention_mask"].sum(dim=1).tolist()
        return [self._answer(row, count) for row, count in zip(ids.tolist(), read, strict=True)]

    def _text(self, request: TextRequest) -> str:
        if self.endpoint == "completion":
            return request.form.completion(request.action, request.taken)
        messages = request.form.messages(request.action, request.taken)
        # enable_thinking: templates that can open a chain of reasoning should not; others ignore it.
        template = self._tokenizer.apply_chat_template
        return template(messages, tokenize=False, add_generation_prompt=True, enable_thinking=False)

    def _settings(self) -> dict[str, Any]:
        drawn = self.sampling
        settings: dict[str, Any] = {"max_new_tokens": drawn.max_tokens, "do_sample": drawn.temperature > 0}
        if drawn.temperature > 0:
            settings |= {"temperature": drawn.temperature, "top_p": drawn.top_p, "top_k": 0}
        if self.endpoint == "completion":
            settings |= {"stop_strings": list(STOPS), "tokenizer": self._tokenizer}
        return settings | {"pad_token_id": self._tokenizer.pad_token_id, "stopping_criteria": [self._stopping]}

    def _stopping(self, ids: torch.Tensor, _: Any, **__: Any) -> torch.Tensor:
        return torch.full((len(ids),), self._stopped.is_set(), device=ids.device)

    def _answer(self, ids: list[int], read: int) -> Answer:
        """The answer up to its end; rows that ended before the longest are padded."""
        ends = [place for place, token in enumerate(ids) if token in self._ends()]
        text = self._tokenizer.decode(ids[: ends[0]] if ends else ids, skip_special_tokens=True)
        stops = [text.index(stop) for stop in STOPS if stop in text] if self.endpoint == "completion" else []
        written = ends[0] + 1 if ends else len(ids)
        return Answer(text[: min(stops)] if stops else text, not ends and not stops, (read, written))

    def _ends(self) -> set[int]:
        end = self._model.generation_config.eos_token_id
        return {self._tokenizer.pad_token_id, *(end if isinstance(end, list) else [end])}


def _load(folder: Path, device: str) -> tuple[Any, Any]:
    if not folder.is_dir():
        raise ClaverError(f"there is no model folder {folder}")
    try:
        from transformers import AutoModelForCausalLM, AutoTokenizer
    except ImportError:
        raise ClaverError("a local model needs transformers; pip install 'claver[prompts]'") from None
    from safetensors import SafetensorError

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **_INERT, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(folder, **_INERT, use_safetensors=True, dtype="auto").to(device)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ClaverError(f"{folder} holds no language model that transformers can load: {_line(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, model.eval()


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
