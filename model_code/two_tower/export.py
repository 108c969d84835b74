"""The model folder: both towers as ONNX graphs, vocabulary, id vectors, code, and the manifest that names them.

The graphs are written node by node rather than traced: four kinds of node, no exporter to depend on, and the test
holds them to torch's scores.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from two_tower.artefact import FILES, MANIFEST, sha256_of
from two_tower.encoding import TowerColumn, Vocabulary
from two_tower.model import DIMENSION, Tower, TwoTower
from two_tower.start import own_vectors

OPSET = 17
INLINE_BYTES = 1 << 30  # a protobuf holds at most 2 GiB; beyond this, tables lie beside the graph
CODE = Path(__file__).parent
CONTAINER_MODULES = ("__init__.py", "encoding.py", "artefact.py")  # all that inference.py imports of ours


def export_model(
    model: TwoTower, vocabulary: Vocabulary, folder: Path, metrics: dict[str, Any], parameters: dict[str, Any]
) -> dict[str, Any]:
    """Write everything a release needs of the towers; the manifest comes last.

    Returns
    -------
    dict
        The manifest; `tower_id` is the sha256 over weights and vocabulary, equal for equal models.
    """
    model = model.cpu().eval()
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.save(folder / FILES["vocabulary"])
    for name, tower in (("user_tower", model.user), ("item_tower", model.item)):
        _save_graph(tower_graph(tower), folder / FILES[name])
    save_file({"users": own_vectors(model.user), "items": own_vectors(model.item)}, folder / FILES["id_vectors"])
    _write_code(folder / "code")
    manifest = {
        "kind": "two_tower",
        "format": 1,
        "tower_id": tower_id(model, folder / FILES["vocabulary"]),
        "dimension": DIMENSION,
        "user_columns": [column.name for column in vocabulary.user_columns],
        "item_columns": [column.name for column in vocabulary.item_columns],
        "files": FILES,
        "sha256": {file.name: sha256_of(file) for file in sorted(folder.iterdir()) if file.is_file()},
        "metrics": metrics,
        "parameters": parameters,
    }
    draft = folder / f".{MANIFEST}"
    draft.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(folder / MANIFEST)
    return manifest


def tower_id(model: TwoTower, vocabulary_file: Path) -> str:
    """sha256 over every weight by name, and over the vocabulary that gives its rows their meaning."""
    digest = hashlib.sha256(vocabulary_file.read_bytes())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.numpy()).data)
    return digest.hexdigest()


def _write_code(folder: Path) -> None:
    package = folder / CODE.name
    package.mkdir(parents=True, exist_ok=True)
    for name in CONTAINER_MODULES:
        shutil.copyfile(CODE / name, package / name)
    shutil.copyfile(CODE / "inference.py", folder / "inference.py")


def _save_graph(graph: onnx.ModelProto, file: Path) -> None:
    large = sum(len(tensor.raw_data) for tensor in graph.graph.initializer) > INLINE_BYTES
    onnx.save(graph, file, save_as_external_data=large, location=f"{file.name}.data" if large else None)


class _Graph:
    """Nodes and constants in the making; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, name: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name


def tower_graph(tower: Tower) -> onnx.ModelProto:
    """`Tower.forward` as an ONNX model: one int64 input per column, batch first and free, output `vector`."""
    graph = _Graph()
    weights = {name: tensor.detach().numpy() for name, tensor in tower.state_dict().items()}
    parts = [_column(graph, column, weights[f"tables.{column.name}.weight"]) for column in tower.columns]
    own = graph.node("Gather", graph.constant("ids", weights["ids.weight"]), tower.key, name="own")
    joined = graph.node("Concat", *parts, name="joined", axis=1)
    hidden = joined
    for layer in ("hidden", "out"):
        matrix = graph.constant(f"{layer}_matrix", weights[f"{layer}.weight"].T)
        bias = graph.constant(f"{layer}_bias", weights[f"{layer}.bias"])
        hidden = graph.node("Gemm", hidden, matrix, bias, name=f"{layer}_linear")
        hidden = graph.node("Relu", hidden, name="hidden_relu") if layer == "hidden" else hidden
    graph.node("Sum", own, *parts, hidden, name="vector")
    inputs = [helper.make_tensor_value_info(tower.key, TensorProto.INT64, ["batch"])]
    for column in tower.columns:
        shape: list[str | int] = ["batch", column.length] if column.kind == "ids" else ["batch"]
        inputs.append(helper.make_tensor_value_info(column.name, TensorProto.INT64, shape))
    outputs = [helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", DIMENSION])]
    built = helper.make_model(
        helper.make_graph(graph.nodes, tower.key.replace("_id", "_tower"), inputs, outputs, graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=9,
        producer_name="understudy",
    )
    onnx.checker.check_model(built)
    return built


def _column(graph: _Graph, column: TowerColumn, table: np.ndarray) -> str:
    """Rows of one feature's table, shape (batch, D); a list's known rows summed and divided by √n."""
    name = column.name
    rows = graph.node("Gather", graph.constant(f"{name}_table", table), name, name=f"{name}_rows")
    if column.kind != "ids":
        return rows
    zero = graph.constant(f"{name}_zero", np.array(0, dtype=np.int64))
    one = graph.constant(f"{name}_one", np.array(1, dtype=np.float32))
    axis_list = graph.constant(f"{name}_axis_list", np.array([1], dtype=np.int64))
    axis_last = graph.constant(f"{name}_axis_last", np.array([2], dtype=np.int64))
    known = graph.node("Greater", name, zero, name=f"{name}_known")
    mask = graph.node("Cast", known, name=f"{name}_mask", to=TensorProto.FLOAT)
    mask_column = graph.node("Unsqueeze", mask, axis_last, name=f"{name}_mask_column")
    masked = graph.node("Mul", rows, mask_column, name=f"{name}_masked")
    total = graph.node("ReduceSum", masked, axis_list, name=f"{name}_total", keepdims=0)
    count = graph.node("ReduceSum", mask, axis_list, name=f"{name}_count", keepdims=1)
    root = graph.node("Sqrt", graph.node("Max", count, one, name=f"{name}_floor"), name=f"{name}_root")
    return graph.node("Div", total, root, name=f"{name}_vector")
