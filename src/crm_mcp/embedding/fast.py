"""Vectors by meaning on this machine: a model of fastembed, which the extra `[semantic]` installs.

The library and the weights are loaded with the first texts, in a thread, so that nobody pays who asks nothing of it.
"""

import asyncio
import json
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ..log import logger
from .embedder import EmbedderAway, Purpose

BATCH = 32
"""Texts that a model reads at once: each more costs memory, and none is faster."""
LONGEST = 20_000
"""Characters of a text that are read; the model cuts it where its own window ends."""
WEIGHTS = ("model.onnx", "onnx/model.onnx", "model_optimized.onnx")
"""Where a folder of weights may have them."""
_POOLING = {"pooling_mode_cls_token": "CLS", "pooling_mode_lasttoken": "LAST_TOKEN"}


class Fast:
    """One model of fastembed's list, or of a folder that holds an exported sentence-transformers model."""

    is_semantic = True

    def __init__(self, name: str, model: str, folder: Path | None, cache: Path, dimensions: int = 0) -> None:
        """`folder` holds the weights, or a folder of the model's name that does; None: they are fetched into `cache`.

        `dimensions` may be stated: another model then counts as away.
        """
        self.name, self.dimensions = name, dimensions
        self._model, self._folder, self._cache = model, folder, cache
        self._loaded: Any = None
        self._one_at_a_time = threading.Lock()

    async def embed(self, texts: Sequence[str], purpose: Purpose) -> list[list[float]]:
        """Return a vector a text; what is longer than the model reads is cut."""
        worded = [at for at, text in enumerate(texts) if text.strip()]
        made = await asyncio.to_thread(self._embedded, [texts[at][:LONGEST] for at in worded], purpose)
        found = dict(zip(worded, made, strict=True))
        return [found.get(at) or [0.0] * self.dimensions for at in range(len(texts))]

    def _embedded(self, texts: list[str], purpose: Purpose) -> list[list[float]]:
        with self._one_at_a_time:
            if self._loaded is None:
                self._loaded = self._load()
            if not texts:
                return []
            try:
                if purpose == "query":
                    made = [one.tolist() for one in self._loaded.query_embed(texts)]
                else:
                    made = [one.tolist() for one in self._loaded.passage_embed(texts, batch_size=BATCH)]
            except Exception as problem:
                raise self._away("it could not read the texts", problem) from None
        if any(len(one) != self.dimensions for one in made):
            raise self._away(f"its vectors do not have {self.dimensions} dimensions", None)
        return made

    def _load(self) -> Any:
        try:
            library: Any = import_module("fastembed").TextEmbedding
        except ImportError as problem:
            raise self._away("install crm-mcp-server[semantic]", problem) from None
        try:
            kept = None if self._folder is None else self._kept(self._folder)
            known = self._dimensions_known(library) or (0 if kept is None else _add(library, self._model, kept))
            if not known or self.dimensions not in (0, known):
                raise ValueError(f"{self._model} gives {known} dimensions")
            here = {} if kept is None else {"specific_model_path": str(kept), "local_files_only": True}
            loaded = library(self._model, cache_dir=str(self._cache), **here)
        except Exception as problem:
            raise self._away("its weights could not be loaded", problem) from None
        self.dimensions = known
        return loaded

    def _dimensions_known(self, library: Any) -> int:
        try:
            return int(library.get_embedding_size(self._model))
        except ValueError:
            return 0

    def _kept(self, folder: Path) -> Path:
        """Return the folder that holds this model: a folder for several has one of each model's name."""
        for one in (folder / self._model.replace("/", "--"), folder / self._model.rpartition("/")[2], folder):
            if (one / "tokenizer.json").is_file():
                return one
        raise FileNotFoundError("no tokenizer.json is there")

    def _away(self, why: str, problem: Exception | None) -> EmbedderAway:
        logger().warning(
            "no vectors", model=self.name, why=why, problem=None if problem is None else type(problem).__name__
        )
        return EmbedderAway(why)


def _add(library: Any, model: str, folder: Path) -> int:
    """Make a model known to fastembed that is not on its list; return its dimensions."""
    described: Any = import_module("fastembed.common.model_description")
    dimensions = int(json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"])
    weights = next(one for one in WEIGHTS if (folder / one).is_file())
    said = folder / "1_Pooling" / "config.json"
    modes: dict[str, Any] = json.loads(said.read_text(encoding="utf-8")) if said.is_file() else {}
    library.add_custom_model(
        model,
        pooling=described.PoolingType(next((kind for mode, kind in _POOLING.items() if modes.get(mode)), "MEAN")),
        normalization=True,
        sources=described.ModelSource(url="https://localhost"),  # never asked: the weights are in the folder
        dim=dimensions,
        model_file=weights,
    )
    return dimensions
