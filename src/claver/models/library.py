"""Models of `transformers` as parts of ours: made from plain settings, by classes that this project names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any

from claver.errors import ClaverError
from claver.models.config import MOST_LAYERS
from claver.models.hosting import use_attention
from claver.models.shapes import is_uninitialized

_OLDEST = (5, 23)
VERSION = "transformers_version"
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


def made_by() -> dict[str, str]:
    """The version of the package as a setting, to be told where names of weights are no longer the same."""
    return {VERSION: str(library().__version__)}


def model_class(name: str) -> Any:
    """A class of models of the package.

    Raises:
        ClaverError: the one that is installed does not have it.
    """
    transformers = library()
    if not hasattr(transformers, name):
        told = f"transformers {transformers.__version__} has no {name}"
        raise ClaverError(f"{told}, which this model needs; pip install -U 'claver[hf]'")
    return getattr(transformers, name)


def plain_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of a transformers config, and of the configs within it, says how a tower computes."""
    return dict(_computing(values))


def _computing(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {key: _computing(one) for key, one in value.items() if not (str(key).startswith("_") or key in _IGNORED)}


def made_config(name: str, settings: Mapping[str, Any]) -> Any:
    """The config of a class of models.

    Raises:
        ClaverError: settings that transformers does not take, or more layers than any model has.
    """
    kind, plain = model_class(name).config_class, plain_settings(settings)
    _require_layers(plain)
    try:
        with quiet():
            return kind(**plain)
    except Exception as error:  # whatever its checks raise
        raise ClaverError(f"{kind.__name__} refuses its settings: {' '.join(str(error).split())}") from error


def _require_layers(values: Mapping[str, Any]) -> None:
    """Layers are made one by one, on whatever device: too many of them would never end."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            _require_layers(value)
        elif str(key).endswith("layers") and type(value) is int and value > MOST_LAYERS:
            raise ClaverError(f"{key} is {value}; no model has more than {MOST_LAYERS}")


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
    return made_model(name, config, options)


def made_model(name: str, config: Any, options: Mapping[str, Any] | None = None) -> Any:
    """A model with random weights, on whatever device is set; arguments and errors as of `hosted_model`."""
    kind = model_class(name)
    # Of a class that leaves its weights as they are: the library's own way to that is one for all threads.
    quick = type(kind.__name__, (kind,), {"init_weights": lambda self: None, "__module__": kind.__module__})
    try:
        with quiet():
            model = (quick if is_uninitialized() else kind)(config, **(options or {}))
    except Exception as error:  # whatever its checks raise, or the lack of them
        raise ClaverError(f"{name} cannot be made: {' '.join(str(error).split())}") from error
    model.__class__ = kind
    return model


_talking = RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Within this context the library shows no progress and says nothing; of two threads one waits for the other."""
    from transformers.utils import logging

    with _talking:
        level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
        logging.set_verbosity(logging.CRITICAL)
        logging.disable_progress_bar()
        try:
            yield
        finally:
            logging.set_verbosity(level)
            if bars:
                logging.enable_progress_bar()
