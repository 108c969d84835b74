from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from two_tower import inference
from two_tower.encoding import Index, TowerColumn, Vocabulary
from two_tower.export import export_model
from two_tower.model import TwoTower, as_tensors

USER_COLUMNS = (
    TowerColumn("user_age", "age", "number", edges=(20.0, 40.0)),
    TowerColumn("user_city", "city", "category", index=Index(["Oslo", "Turin"])),
    TowerColumn("user_last_5_clicks", "last_5_clicks", "ids", length=5),
)
VOCABULARY = Vocabulary(
    Index([f"u{number}" for number in range(30)]),
    Index([f"i{number}" for number in range(50)]),
    USER_COLUMNS,
    (TowerColumn("item_topic", "topic", "category", index=Index(["film", "music"])),),
)


def random_model(seed: int = 0) -> TwoTower:
    """Every weight random, the network's last layer and the unknown rows too: nothing may hide behind a zero."""
    model = TwoTower(VOCABULARY)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draw) * 0.3)
    return model


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[TwoTower, Path, dict]:
    folder, model = tmp_path_factory.mktemp("model"), random_model()
    return model, folder, export_model(model, VOCABULARY, folder, {"recall_at_10": 0.1}, {"seed": 0})


@pytest.mark.parametrize("batch", [1, 33])
def test_both_graphs_give_torch_s_vectors(exported, batch: int) -> None:
    model, folder, _ = exported
    rng = np.random.default_rng(batch)
    encoded = {
        "user_tower": {
            "user_id": rng.integers(0, 31, batch),
            "user_age": rng.integers(0, 4, batch),
            "user_city": rng.integers(0, 3, batch),
            "user_last_5_clicks": rng.integers(0, 51, (batch, 5)) * (rng.random((batch, 5)) < 0.5),
        },
        "item_tower": {"item_id": rng.integers(0, 51, batch), "item_topic": rng.integers(0, 3, batch)},
    }
    for name, tower in (("user_tower", model.user), ("item_tower", model.item)):
        session = onnxruntime.InferenceSession(str(folder / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        (found,) = session.run(["vector"], encoded[name])
        with torch.no_grad():
            expected = tower(as_tensors(encoded[name])).numpy()
        assert np.abs(found - expected).max() < 1e-5


def test_the_container_s_scores_are_torch_s(exported) -> None:
    torch_model, folder, manifest = exported
    model = inference.model_fn(str(folder))
    users = [{"user_id": "u3", "age": 25, "city": "Oslo", "last_5_clicks": ["i1", "?", "i9"]}, {"user_id": "stranger"}]
    answer = inference.predict_fn(users, model)
    encoded = VOCABULARY.encode_users(
        ["u3", "stranger"],
        {"user_age": [25, None], "user_city": ["Oslo", None], "user_last_5_clicks": [["i1", "?", "i9"], None]},
    )
    with torch.no_grad():
        expected = torch_model.user(as_tensors(encoded)).numpy()
    assert np.abs(answer["vectors"] - expected).max() < 1e-5
    assert answer["tower_id"] == manifest["tower_id"]


def test_the_tower_id_is_of_the_weights(exported, tmp_path) -> None:
    _, _, manifest = exported
    again = export_model(random_model(), VOCABULARY, tmp_path / "a", {}, {"other": 1})
    other = export_model(random_model(1), VOCABULARY, tmp_path / "b", {}, {})
    assert again["tower_id"] == manifest["tower_id"] != other["tower_id"]


@pytest.mark.parametrize(
    ("body", "content_type", "sentence"),
    [
        (b"{", "application/json", "the body is no JSON"),
        (b"[" * 100_000, "application/json", "the body is no JSON"),
        (b"\xff", "application/json", "the body is no JSON"),
        (b"{}", "text/csv", "content type is 'text/csv'; expected application/json"),
        (b"[]", "application/json", r'expected {"users": \[...\]} with 1 to'),
        (b'{"users": []}', "application/json", "with 1 to 10000 users"),
        (b'{"users": [{"user_id": 7}]}', "application/json", r"users\[0\] has no user_id"),
        (b'{"users": [{"user_id": ""}]}', "application/json", r"users\[0\] has no user_id"),
        (b'{"users": [{"user_id": "u", "age": "x"}]}', "application/json", "age is 'x'; expected a number or null"),
        (b'{"users": [{"user_id": "u", "age": [1]}]}', "application/json", "age is"),
        (b'{"users": [{"user_id": "u", "last_5_clicks": {"a": 1}}]}', "application/json", "last_5_clicks is"),
    ],
)
def test_bad_input_is_a_value_error_with_a_sentence(exported, body: bytes, content_type: str, sentence: str) -> None:
    model = inference.model_fn(str(exported[1]))
    with pytest.raises(ValueError, match=sentence):
        inference.predict_fn(inference.input_fn(body, content_type), model)


def test_the_answer_s_form_is_json_or_refused(exported) -> None:
    prediction = {"tower_id": "t", "vectors": np.zeros((1, 2))}
    assert inference.output_fn(prediction, "*/*") == b'{"tower_id": "t", "vectors": [[0.0, 0.0]]}'
    with pytest.raises(ValueError, match="accept is 'text/csv'"):
        inference.output_fn(prediction, "text/csv")


def test_the_code_in_the_archive_is_the_code_that_trained(exported) -> None:
    folder = exported[1] / "code" / "two_tower"
    for file in folder.iterdir():
        assert file.read_bytes() == Path(sys.modules["two_tower"].__path__[0], file.name).read_bytes()
