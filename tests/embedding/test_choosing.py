"""A name says which embedder is meant; what it needs is looked for with its first texts."""

import subprocess
import sys

import pytest

from crm_mcp.config import Settings
from crm_mcp.degraded import Degraded
from crm_mcp.embedding.choosing import Chosen, Embedders, Following, NameInvalid
from crm_mcp.embedding.embedder import EmbedderAway


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("ngrams-1", Chosen("ngrams", "ngrams-1", 512)),
        ("fastembed:BAAI/bge-small-en-v1.5", Chosen("fastembed", "BAAI/bge-small-en-v1.5", 0)),
        ("openai:text-embedding-3-small@512", Chosen("openai", "text-embedding-3-small", 512)),
        ("openai:@cf/baai/bge-m3", Chosen("openai", "@cf/baai/bge-m3", 0)),
        ("openai:nomic-embed-text:latest", Chosen("openai", "nomic-embed-text:latest", 0)),
    ],
)
def test_a_name_is_read(name, chosen):
    assert Chosen.of(name) == chosen


@pytest.mark.parametrize(
    "name",
    [
        "",
        "ngrams-2",
        "openai:",
        "cohere:x",
        "openai:a b",
        "openai:a\x00",
        "openai:m@5000",
        "openai:" + "m" * 200,
    ],
)
def test_what_is_no_name_is_refused(name):
    with pytest.raises(NameInvalid):
        Chosen.of(name)


@pytest.mark.parametrize("name", ["openai:small", "ngrams-9"])
async def test_a_model_that_cannot_be_asked_here_is_away_and_answers_say_so(name, tmp_path):
    degraded = Degraded()
    with pytest.raises(EmbedderAway):
        await Embedders(Settings(home=tmp_path), degraded).of(name).embed(["text"], "query")
    assert degraded.meta() == {"degraded": {"embedder": "found by words alone"}}


async def test_whoever_follows_another_model_is_no_longer_without(tmp_path):
    degraded = Degraded()
    following = Following(Embedders(Settings(home=tmp_path), degraded), "openai:small")
    with pytest.raises(EmbedderAway):
        await following.embed(["text"], "query")
    following.follow("ngrams-1")
    assert degraded.meta() == {}
    assert len((await following.embed(["text"], "query"))[0]) == 512
    assert (following.name, following.dimensions, following.is_semantic) == ("ngrams-1", 512, False)


def test_serve_loads_no_library_of_an_embedder_at_its_start():
    loaded = subprocess.run(
        [sys.executable, "-c", "import crm_mcp.serving, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert not {"httpx2", "fastembed", "onnxruntime", "numpy", "openai"} & set(loaded)


def test_serve_refuses_an_unknown_embedder_before_it_serves(monkeypatch, tmp_path):
    told = subprocess.run(
        [sys.executable, "-m", "crm_mcp", "serve", "--user", "a@b.example"],
        env={"CRM_HOME": str(tmp_path), "CRM_EMBEDDER": "magic"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 2
    assert "CRM_EMBEDDER: An embedder is `ngrams-1`" in told.stderr
