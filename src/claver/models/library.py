"""Models of `transformers` as parts of ours: made from plain settings, by classes that this project names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from torch.overrides import TorchFunctionMode

from claver.errors import ClaverError
from claver.models.hosting import use_attention

_OLDEST = (5, 0)
_IGNORED = (
    *("attn_implementation", "experts_implementation", "auto_map", "quantization_config", "dtype", "torch_dtype"),
    *("output_attentions", "output_hidden_states", "return_dict", "use_cache", "architectures", "transformers_version"),
    *("id2label", "label2id", "num_labels", "problem_type"),
)
"""Settings that say nothing of how a tower computes; some of them have transformers fetch code, or change weights."""


def library() -> Any:
    """The package.

    Raises:
        ClaverError: it is not installed, or too old.
    """
    try:
        import transformers
    except ImportError as error:
        raise ClaverError("this model needs the package transformers; pip install 'claver[hf]'") from error
    if tuple(int(part) for part in transformers.__version__.split(".")[:2]) < _OLDEST:
        needed = ".".join(map(str, _OLDEST))
        raise ClaverError(
            f"this model needs transformers {needed} or later, not {transformers.__version__}; "
            "pip install -U 'claver[hf]'"
        )
    return transformers


def plain_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a transformers config says how a tower computes."""
    kept = {key: value for key, value in values.items() if not key.startswith("_") and key not in _IGNORED}
    return {key: value for key, value in kept.items() if value is not None}


def made_config(name: str, settings: Mapping[str, Any]) -> Any:
    """The config of a class of models.

    Raises:
        ClaverError: settings that transformers does not take.
    """
    kind = getattr(library(), name).config_class
    try:
        with quiet():
            return kind(**plain_settings(settings))
    except Exception as error:  # whatever its checks raise
        raise ClaverError(f"{kind.__name__} refuses its settings: {' '.join(str(error).split())}") from error


def hosted_model(name: str, settings: Mapping[str, Any], options: Mapping[str, Any] | None = None) -> Any:
    """A model with random weights, whose attention can be listened to.

    Args:
        name: of its class.
        settings: of its config.
        options: of its class.

    Raises:
        ClaverError: settings that transformers does not take.
    """
    config = made_config(name, settings)
    use_attention(config)
    from transformers.initialization import no_init_weights

    try:
        with quiet(), no_init_weights() if _uninitialized.get() else nullcontext():
            return getattr(library(), name)(config, **(options or {}))
    except (ValueError, TypeError, KeyError, ZeroDivisionError, RuntimeError) as error:
        raise ClaverError(f"{name} cannot be made: {' '.join(str(error).split())}") from error


_uninitialized: ContextVar[bool] = ContextVar("uninitialized", default=False)


@contextmanager
def uninitialized() -> Iterator[None]:
    """Within this context models get no values: random numbers cost seconds, and whatever is loaded replaces them."""
    token = _uninitialized.set(True)
    try:
        with _NoInitialization():
            yield
    finally:
        _uninitialized.reset(token)


class _NoInitialization(TorchFunctionMode):
    """Leaves out what `torch.nn.init` does: on the meta device it would only cost seconds of imports."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if kwargs and "tensor" in kwargs else args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def quiet() -> Iterator[None]:
    """Within this context the library shows no progress and tells of nothing but errors."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
