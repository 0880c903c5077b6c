"""A language model behind an OpenAI-compatible server, by way of the `openai` package."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from claver.errors import ClaverError
from claver.text.generator.answers import Answer, Endpoint, Sampling, TextRequest, UnansweredError
from claver.text.generator.forms import STOPS

KEYS = ("CLAVER_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key, the first that is set. No option does: shells remember those."""

_SECRETS = re.compile(r"\bsk-[\w*-]{6,}|\bBearer\s+\S+|(?<=://)[^/\s@]+(?=@)")
_LONGEST = 300
_SHORTEST_KEY = 8
"""What is shorter stands where a server without keys asks for one; hidden in answers, it would spoil whole texts."""


class ServerModel:
    """A model by its name on a server; one request a text, several under way.

    Rate limits (429, with `Retry-After`), faults of the server (5xx), broken connections and time-outs are tried again
    by the `openai` client after a growing, jittered pause.

    Attributes:
        name: the model's name.
        endpoint: `chat` or `completion`.
        batch: 1.
        workers: requests under way at once.
    """

    batch = 1

    def __init__(
        self,
        name: str,
        *,
        base_url: str | None = None,
        endpoint: Endpoint = "chat",
        sampling: Sampling | None = None,
        concurrency: int = 8,
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        """Nothing is asked yet.

        Args:
            name: the model's name on the server.
            base_url: the server's address, usually ending in `/v1`; `OPENAI_BASE_URL` or OpenAI's if not given.
            endpoint: `chat`, or `completion` for models that only continue a text.
            sampling: temperature, top-p, limit of tokens.
            concurrency: requests under way at once.
            timeout: seconds to wait for an answer.
            retries: how often one request is tried again.

        Raises:
            ClaverError: the `openai` package is missing, or the address or key cannot be used.
        """
        self.name, self.endpoint, self.workers = name, endpoint, concurrency
        self.sampling = sampling or Sampling()
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        self._key = _key(required=base_url is None)
        self._url = self._scrub(_checked(base_url or "https://api.openai.com/v1"))
        try:
            from openai import AsyncOpenAI
        except ImportError:
            raise ClaverError("asking a server needs the openai package; pip install 'claver[prompts]'") from None
        options: dict[str, Any] = {"timeout": timeout, "max_retries": retries}
        self._client = AsyncOpenAI(api_key=self._key or "none", base_url=base_url, **options)
        self._limit = "max_tokens"

    async def ask(self, requests: Sequence[TextRequest]) -> list[Answer]:
        """One answer for each request, in turn.

        Raises:
            UnansweredError: retries did not help, or the answer is of no known form.
            ClaverError: the server refuses (401, 404 and other 4xx).
        """
        return [await self._ask(request) for request in requests]

    async def close(self) -> None:
        """Close its connections."""
        await self._client.close()

    async def _ask(self, request: TextRequest) -> Answer:
        import openai

        try:
            return self._read(await self._send(request))
        except openai.APIStatusError as error:
            if error.status_code in (408, 409, 429) or error.status_code >= 500:
                raise UnansweredError(self._said(error)) from None
            raise ClaverError(self._refusal(error)) from None
        except openai.APIConnectionError as error:
            raise UnansweredError(f"{self._url}: {self._scrub(str(error)).rstrip('.').lower()}") from None
        except (openai.APIError, ValueError, AttributeError, TypeError):  # no JSON, or JSON of another shape
            raise UnansweredError(f"{self._url} answered in an unknown form") from None

    async def _send(self, request: TextRequest) -> Any:
        import openai

        try:
            return await self._create(request)
        except openai.BadRequestError as error:
            # OpenAI's reasoning models know the limit by another name, which other servers do not know.
            if self._limit == "max_tokens" and "max_completion_tokens" in str(error):
                self._limit = "max_completion_tokens"
                return await self._create(request)
            raise

    async def _create(self, request: TextRequest) -> Any:
        drawn = self.sampling
        options: dict[str, Any] = {"model": self.name, "temperature": drawn.temperature, "top_p": drawn.top_p}
        options[self._limit] = drawn.max_tokens
        form, about = request.form, (request.action, request.taken)
        if self.endpoint == "chat":
            return await self._client.chat.completions.create(messages=form.messages(*about), **options)
        return await self._client.completions.create(prompt=form.completion(*about), stop=list(STOPS), **options)

    def _read(self, reply: Any) -> Answer:
        choices = getattr(reply, "choices", None)
        if not isinstance(choices, list) or not choices:
            fault = getattr(reply, "error", None)
            raise UnansweredError(f"{self._url} answered without a text{self._quoted(fault)}")
        text = choices[0].message.content if self.endpoint == "chat" else choices[0].text
        usage = getattr(reply, "usage", None)
        counts = (getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None))
        read, written = counts
        tokens = (read, written) if isinstance(read, int) and isinstance(written, int) else None
        return Answer(self._scrub(text or "", _SHORTEST_KEY), choices[0].finish_reason == "length", tokens)

    def _refusal(self, error: Any) -> str:
        code = error.status_code
        if code == 401:  # what the server says here may hold a part of the key
            if self._key:
                return f"{self._url} does not accept the key in {_variable()} (401)"
            return f"{self._url} wants a key (401): set {' or '.join(KEYS)}"
        if code == 403:
            return f"{self._url} does not allow this (403){self._quoted(error.body)}"
        if code == 404:
            return (
                f"{self._url} has no model {self.name!r}, or no {self.endpoint} endpoint at this address, which "
                f"usually ends in /v1 (404){self._quoted(error.body)}"
            )
        return self._said(error)

    def _said(self, error: Any) -> str:
        return f"{self._url} answered {error.status_code}{self._quoted(error.body)}"

    def _quoted(self, body: Any) -> str:
        """What the server said, short and without secrets."""
        while isinstance(body, Mapping):
            body = body.get("message") or body.get("error") or body.get("detail")
        said = " ".join(self._scrub(str(body or "")).split())
        if said.startswith("<"):  # a page for a browser
            return ""
        return f": {said[:_LONGEST]}" if said else ""

    def _scrub(self, text: str, shortest: int = 1) -> str:
        """A text without secrets, nor halves of characters, which no file can hold."""
        text = text.encode(errors="replace").decode()
        return _SECRETS.sub("***", text.replace(self._key, "***") if len(self._key) >= shortest else text)


def _variable() -> str | None:
    return next((name for name in KEYS if os.environ.get(name, "").strip()), None)


def _key(*, required: bool) -> str:
    """The key, or nothing for servers that need none.

    Raises:
        ClaverError: there is none though OpenAI itself is asked, or it is no key.
    """
    variable = _variable()
    if variable is None:
        if required:
            raise ClaverError(f"no key: set {KEYS[1]}, or give the --base-url of a server that needs none")
        return ""
    key = os.environ[variable].strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ClaverError(f"what {variable} holds cannot be a key: it has spaces or unprintable characters")
    return key


def _checked(url: str) -> str:
    """The address without a query, for messages.

    Raises:
        ClaverError: it is none.
    """
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole:
        raise ClaverError("the server's address should look like http://localhost:8000/v1")
    return urlunsplit(parts._replace(query="", fragment=""))
