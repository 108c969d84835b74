"""The ranker as a model folder: manifest, encoding, trees, and exactly the code that serves them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ranker.scorer import ENCODING, FILES, MANIFEST, ServedForm
from ranker.selection import Choice

SERVING_MODULES = (
    "__init__",
    "calibration",
    "encoding",
    "requests",
    "scorer",
    "statistics",
)  # what inference.py imports


def write_package(
    folder: Path, choice: Choice, *, metrics: Mapping[str, float], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the model folder; the manifest comes last.

    Returns
    -------
    dict
        The manifest, see docs/seams.md. `ranker_id` is the hash of what decides a score: encoding, trees, calibration.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picked, scorer = choice.picked, choice.scorer
    encoding = json.dumps(choice.encoder.to_document(), separators=(",", ":")).encode()
    calibration = scorer.calibration.to_document()
    (folder / ENCODING).write_bytes(encoding)
    (folder / FILES[picked.form]).write_bytes(picked.model)
    trees = FILES[ServedForm.BOOSTER]  # whatever is served, monitors explain it by the trees themselves
    if picked.form is not ServedForm.BOOSTER:
        (folder / trees).write_text(picked.booster.model_to_string(num_iteration=picked.booster.best_iteration))
    copy_code(folder / "code")
    onnx, booster = choice.fitted[ServedForm.ONNX], choice.fitted[ServedForm.BOOSTER]
    files = {"encoding": ENCODING, "model": FILES[picked.form], "trees": trees}
    manifest = {
        "kind": "ranker",
        "format": 1,
        "ranker_id": hashlib.sha256(
            encoding + picked.model + json.dumps(calibration, sort_keys=True).encode()
        ).hexdigest(),
        "columns": [list(column) for column in choice.encoder.plan.columns],
        "served_form": picked.form.value,
        "served_form_reason": choice.reason,
        "files": files,
        "sha256": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sorted(set(files.values()))
        },
        "latency_ms": {form.value: round(fitted.latency_ms, 4) for form, fitted in choice.fitted.items()},
        "export": {
            "seconds": round(onnx.export_s, 4),
            "bytes": {"onnx": len(onnx.model), "booster": len(booster.model)},
        },
        "calibration": calibration,
        "attributions": choice.attributions,
        "metrics": dict(metrics),
        "parameters": dict(parameters),
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def copy_code(target: Path) -> None:
    """Put inference.py at the root of `code/`, as SageMaker looks for it, and the modules it imports beside it."""
    here = Path(__file__).parent
    (target / "ranker").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(here / "inference.py", target / "inference.py")
    for module in SERVING_MODULES:
        shutil.copyfile(here / f"{module}.py", target / "ranker" / f"{module}.py")
