"""Folders of `transformers` models of every family, small and with random weights, with their real processors.

The tokenizers are real ones too, of a few words: what is under test is how texts are prepared, not what they mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

WORDS = ["a", "person", "opens", "the", "door", "plays", "chess", "slowly", "two", "naïve"]
TEXTS = ["A person opens the door, slowly!", "plays chess", "Two", ""]
SIZE, PATCH, WIDTH = 32, 8, 64
_VISION: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 96,
    "image_size": SIZE,
    "patch_size": PATCH,
}
_LANGUAGE: dict[str, Any] = {
    "hidden_size": WIDTH,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 80,
}


def sentencepiece_model(folder: Path) -> Path:
    """A SentencePiece model as SigLIP's: unigrams, no start of text, `</s>` at the end and as padding."""
    import sentencepiece

    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(" ".join(WORDS[at:] + WORDS[:at]) for at in range(len(WORDS))) * 20)
    sentencepiece.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(folder / "spiece"),
        vocab_size=48,
        model_type="unigram",
        bos_id=-1,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        hard_vocab_limit=False,
        minloglevel=2,
        add_dummy_prefix=False,
    )
    corpus.unlink()
    (folder / "spiece.vocab").unlink()
    return folder / "spiece.model"


def siglip_tokenizer(folder: Path) -> Any:
    from transformers import SiglipTokenizer

    return SiglipTokenizer(str(sentencepiece_model(folder)), model_max_length=16)


def byte_level(kind: str, folder: Path) -> Any:
    """A tokenizer of transformers with a small vocabulary of letters and words."""
    import transformers

    letters = sorted({letter for word in WORDS for letter in word} | set("abcdefghijklmnopqrstuvwxyz,!.'"))
    if kind == "Siglip2Tokenizer":
        names = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *letters, *[x.upper() for x in "apo"]]
        vocab = {name: at for at, name in enumerate(dict.fromkeys(names))}
        return transformers.Siglip2Tokenizer(
            vocab=vocab, merges=[], model_max_length=16, padding_side="right", add_eos_token=True, add_bos_token=False
        )
    if kind == "XLMRobertaTokenizer":
        names = ["<s>", "<pad>", "</s>", "<unk>", "▁", *letters, *[f"▁{word}" for word in WORDS], "<mask>"]
        return transformers.XLMRobertaTokenizer(vocab=[(name, -float(at)) for at, name in enumerate(names)])
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    names = [*special, *WORDS, *letters, *[f"##{letter}" for letter in letters]]
    file = folder / "vocab.txt"
    file.write_text("\n".join(dict.fromkeys(names)) + "\n")
    return transformers.BertTokenizer(str(file), model_max_length=20)


def _largest(tokenizer: Any) -> int:
    return max(tokenizer.get_vocab().values()) + 1


def _siglip(folder: Path, tokenizer: Any, **more: Any) -> Any:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    text = {**_LANGUAGE, "vocab_size": _largest(tokenizer), "max_position_embeddings": 16, "eos_token_id": 1}
    text |= {"bos_token_id": 0, "pad_token_id": tokenizer.pad_token_id, "projection_size": WIDTH}
    config = SiglipConfig(vision_config={**_VISION, **more}, text_config=text)
    SiglipImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return SiglipModel(config)


def siglip(folder: Path) -> Any:
    tokenizer = siglip_tokenizer(folder)
    tokenizer.save_pretrained(folder)
    return _siglip(folder, tokenizer)


def siglip2(folder: Path) -> Any:
    tokenizer = byte_level("Siglip2Tokenizer", folder)
    tokenizer.save_pretrained(folder)
    return _siglip(folder, tokenizer, intermediate_size=72)


def altclip(folder: Path) -> Any:
    from transformers import AltCLIPConfig, AltCLIPModel, CLIPImageProcessorPil

    tokenizer = byte_level("XLMRobertaTokenizer", folder)
    tokenizer.save_pretrained(folder)
    text = {**_LANGUAGE, "vocab_size": _largest(tokenizer), "max_position_embeddings": 40, "project_dim": 48}
    text |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=SIZE).save_pretrained(folder)
    return AltCLIPModel(AltCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=40))


def chinese_clip(folder: Path) -> Any:
    from transformers import ChineseCLIPConfig, ChineseCLIPImageProcessorPil, ChineseCLIPModel

    tokenizer = byte_level("BertTokenizer", folder)
    tokenizer.save_pretrained(folder)
    text = {**_LANGUAGE, "vocab_size": _largest(tokenizer), "max_position_embeddings": 40}
    processor = ChineseCLIPImageProcessorPil(size={"height": SIZE, "width": SIZE}, do_center_crop=False)
    processor.save_pretrained(folder)
    return ChineseCLIPModel(ChineseCLIPConfig(text_config=text, vision_config=_VISION, projection_dim=40))


def metaclip_2(folder: Path) -> Any:
    from transformers import CLIPImageProcessorPil, MetaClip2Config, MetaClip2Model

    tokenizer = byte_level("XLMRobertaTokenizer", folder)
    tokenizer.save_pretrained(folder)
    text = {**_LANGUAGE, "vocab_size": _largest(tokenizer), "max_position_embeddings": 24}
    text |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=SIZE).save_pretrained(folder)
    return MetaClip2Model(MetaClip2Config(text_config=text, vision_config=_VISION, projection_dim=40))


def dinov2(folder: Path) -> Any:
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    # Made for another grid than its processor gives, as the published ones.
    vision = {**_VISION, "mlp_ratio": 2, "image_size": 2 * SIZE}
    vision.pop("intermediate_size")
    BitImageProcessorPil(size={"shortest_edge": SIZE + 8}, crop_size=SIZE).save_pretrained(folder)
    return Dinov2Model(Dinov2Config(**vision, layerscale_value=0.7))


def dinov2_with_registers(folder: Path) -> Any:
    from transformers import BitImageProcessorPil, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

    vision = {key: value for key, value in _VISION.items() if key != "intermediate_size"}
    BitImageProcessorPil(size={"shortest_edge": SIZE + 8}, crop_size=SIZE).save_pretrained(folder)
    return Dinov2WithRegistersModel(Dinov2WithRegistersConfig(**vision, num_register_tokens=3))


def dinov3(folder: Path) -> Any:
    from transformers import DINOv3ViTConfig, DINOv3ViTModel

    processor = {"image_processor_type": "DINOv3ViTImageProcessorFast", "size": {"height": SIZE, "width": SIZE}}
    processor |= {"resample": 2, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return DINOv3ViTModel(DINOv3ViTConfig(**_VISION, num_register_tokens=2))


def vit(folder: Path) -> Any:
    from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessorPil

    ViTImageProcessorPil(size={"height": SIZE, "width": SIZE}).save_pretrained(folder)
    return ViTForImageClassification(ViTConfig(**_VISION))


def sentence_encoder(folder: Path, pooling: str = "mean") -> Any:
    """BERT as a sentence encoder, as sentence-transformers saves one."""
    from transformers import BertConfig, BertModel

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = byte_level("BertTokenizer", folder)
    tokenizer.save_pretrained(folder)
    steps = ["Transformer", "Pooling", "Normalize"]
    (folder / "modules.json").write_text(json.dumps([{"type": f"sentence_transformers.models.{x}"} for x in steps]))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 18}')
    (folder / "1_Pooling").mkdir(exist_ok=True)
    modes = {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token"}
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({mode: name == pooling for name, mode in modes.items()})
    )
    language = {**_LANGUAGE, "hidden_size": 48}
    torch.manual_seed(1)
    model = disturbed(BertModel(BertConfig(**language, vocab_size=_largest(tokenizer), max_position_embeddings=40)))
    model.save_pretrained(folder)
    return model


PAIRS: dict[str, Callable[[Path], Any]] = {
    "siglip": siglip,
    "siglip2": siglip2,
    "altclip": altclip,
    "chinese_clip": chinese_clip,
    "metaclip_2": metaclip_2,
}
IMAGES: dict[str, Callable[[Path], Any]] = {
    "dinov2": dinov2,
    "dinov2_with_registers": dinov2_with_registers,
    "dinov3_vit": dinov3,
    "vit": vit,
}


@torch.no_grad()
def disturbed(model: Any) -> Any:
    """A model whose norms, biases and scales are no longer at the values they all begin with."""
    for name, parameter in model.named_parameters():
        if name == "logit_scale":
            parameter.fill_(4.9)  # beyond ln 100, as SigLIP's
        elif name == "logit_bias":
            parameter.fill_(-12.5)
        elif parameter.ndim == 1:
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def saved(family: str, folder: Path) -> Any:
    """A model of a family in a folder, and the model itself."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    model = disturbed((PAIRS | IMAGES)[family](folder))
    if hasattr(model, "logit_scale") and family not in ("siglip", "siglip2"):
        model.logit_scale.data.fill_(3.0)
    model.save_pretrained(folder)
    return model
