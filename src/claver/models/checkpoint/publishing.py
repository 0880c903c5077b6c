"""A model folder and its card on the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from claver.models.checkpoint.card import CARD, model_card
from claver.models.checkpoint.folder import Pretrained, write_folder


def push_folder(
    model: Pretrained, repo_id: str, *, private: bool, token: str | None, card: Mapping[str, str] | None = None
) -> str:
    """Write the model and its card to a temporary folder and upload that; nobody's own card is written over unasked."""
    from huggingface_hub import HfApi

    text = model_card(model, repo_id, card)
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        write_folder(model, Path(folder))
        api.create_repo(repo_id, private=private, exist_ok=True)
        if card is not None or not api.file_exists(repo_id, CARD):
            (Path(folder) / CARD).write_text(text, encoding="utf-8")
        return str(api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Upload CLAVER model"))
