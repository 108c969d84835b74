"""A booster with numeric splits as an ONNX tree ensemble that ONNX Runtime scores exactly alike.

Written from LightGBM's own dump rather than by onnxmltools: docs/decisions/ranker-onnx-export.md has the figures. ONNX
compares float32 with float32, LightGBM float64 with float64; features are float32 in both, so a threshold rounded
*down* to float32 sends every row the same way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import onnx
from onnx import TensorProto, helper

INPUT, OUTPUT = "matrix", "margins"


class NotExportable(ValueError):
    """The booster splits on something an ONNX tree ensemble does not know as LightGBM does."""


def to_onnx(booster: lightgbm.Booster) -> bytes:
    """Serialise the best iteration.

    Returns
    -------
    bytes
        A model with input `matrix` float32 (N, F), NaN where missing, and output `margins` float32 (N, 1): raw log odds.

    Raises
    ------
    NotExportable
        If a split is categorical.
    """
    dump = booster.dump_model(num_iteration=booster.best_iteration)
    attributes: dict[str, Any] = defaultdict(list)
    for tree in dump["tree_info"]:
        _add_tree(attributes, tree["tree_index"], tree["tree_structure"])
    node = helper.make_node(
        "TreeEnsembleRegressor",
        inputs=[INPUT],
        outputs=[OUTPUT],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        **attributes,
    )
    graph = helper.make_graph(
        [node],
        "ranker",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, [None, booster.num_feature()])],
        [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 1])],
    )
    operators = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=operators, ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def _add_tree(attributes: dict[str, list[Any]], tree: int, root: Mapping[str, Any]) -> None:
    """Append one tree, nodes numbered in the order they are met; children are numbered before they are visited."""
    waiting, following = [(0, root)], 1
    while waiting:
        number, node = waiting.pop()
        if "split_feature" not in node:
            _add_node(attributes, tree, number, mode="LEAF")
            attributes["target_treeids"].append(tree)
            attributes["target_nodeids"].append(number)
            attributes["target_ids"].append(0)
            attributes["target_weights"].append(float(node["leaf_value"]))
            continue
        if node["decision_type"] != "<=":
            raise NotExportable(
                f"tree {tree} splits feature {node['split_feature']} by {node['decision_type']!r}, not by <="
            )
        left, right = following, following + 1
        following += 2
        _add_node(attributes, tree, number, mode="BRANCH_LEQ", split=node, children=(left, right))
        waiting += [(right, node["right_child"]), (left, node["left_child"])]


def _add_node(
    attributes: dict[str, list[Any]],
    tree: int,
    number: int,
    *,
    mode: str,
    split: Mapping[str, Any] | None = None,
    children: tuple[int, int] = (0, 0),
) -> None:
    """One node. Where training saw no missing value, LightGBM reads NaN as 0, and so does this node."""
    split = split or {"split_feature": 0, "threshold": 0.0, "missing_type": "None", "default_left": False}
    to_left = split["default_left"] if split["missing_type"] == "NaN" else split["threshold"] >= 0
    attributes["nodes_treeids"].append(tree)
    attributes["nodes_nodeids"].append(number)
    attributes["nodes_featureids"].append(int(split["split_feature"]))
    attributes["nodes_values"].append(_rounded_down(float(split["threshold"])))
    attributes["nodes_modes"].append(mode)
    attributes["nodes_truenodeids"].append(children[0])
    attributes["nodes_falsenodeids"].append(children[1])
    attributes["nodes_missing_value_tracks_true"].append(int(mode != "LEAF" and to_left))


def _rounded_down(threshold: float) -> float:
    """Largest float32 that is not above the threshold."""
    nearest = np.float32(threshold)
    return float(nearest if float(nearest) <= threshold else np.nextafter(nearest, np.float32(-np.inf)))
