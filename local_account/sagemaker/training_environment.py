"""What a training container finds in its environment, its /opt/ml/input/config and its arguments, as SageMaker's training toolkit
sets them (`sagemaker-training` 4.x, `environment.py` and `mapping.py`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local_account.sagemaker.room import Answer

PROGRAM, SUBMIT_DIRECTORY = "sagemaker_program", "sagemaker_submit_directory"


def decoded(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Hyperparameters as the SDK means them: each value is JSON where it can be read as JSON, else the string itself."""
    return {key: _decode(value) for key, value in hyperparameters.items()}


def _decode(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def user_parameters(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Those that are the program's own; names with `sagemaker_` are the toolkit's."""
    return {key: value for key, value in sorted(decoded(hyperparameters).items()) if not key.startswith("sagemaker_")}


def arguments(parameters: Mapping[str, Any]) -> list[str]:
    """`--key value …` in the order of the keys; one-letter names get one dash, None gets no value."""
    words: list[str] = []
    for key, value in sorted(parameters.items()):
        words.append(f"-{key}" if len(key) == 1 else f"--{key}")
        if isinstance(value, Mapping):
            words.append(",".join(f"{k}={v}" for k, v in value.items()))
        elif value is not None:
            words.append(str(value))
    return words


def host_names(count: int) -> list[str]:
    return [f"algo-{number}" for number in range(1, count + 1)]


def write_config(opt_ml: Path, doc: Answer, host: str, hosts: Sequence[str]) -> Answer:
    """input/config/{hyperparameters,resourceconfig,inputdataconfig}.json; the resource configuration is given back."""
    config = opt_ml / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    instance = doc["ResourceConfig"].get("InstanceType", "local")
    resources = {
        "current_host": host,
        "current_instance_type": instance,
        "current_group_name": "homogeneousCluster",
        "hosts": list(hosts),
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": instance, "hosts": list(hosts)}
        ],
        "network_interface_name": "lo",
    }
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in doc.get("InputDataConfig", [])
    }
    for name, value in (
        ("hyperparameters", doc.get("HyperParameters", {})),
        ("resourceconfig", resources),
        ("inputdataconfig", channels),
    ):
        (config / f"{name}.json").write_text(json.dumps(value))
    return {"resources": resources, "channels": channels}


def toolkit_variables(opt_ml: Path, doc: Answer, config: Answer) -> dict[str, str]:
    """Every SM_* variable that the toolkit sets for a script."""
    hyperparameters = decoded(doc.get("HyperParameters", {}))
    parameters = user_parameters(doc.get("HyperParameters", {}))
    resources, channels = config["resources"], config["channels"]
    program = str(hyperparameters.get(PROGRAM, ""))
    facts: dict[str, Any] = {
        "additional_framework_parameters": {
            k: v for k, v in hyperparameters.items() if k.startswith("sagemaker_") and k != PROGRAM
        },
        "channel_input_dirs": {name: str(opt_ml / "input" / "data" / name) for name in channels},
        "current_host": resources["current_host"],
        "current_instance_group": resources["current_group_name"],
        "current_instance_type": resources["current_instance_type"],
        "framework_module": None,
        "hosts": resources["hosts"],
        "hyperparameters": parameters,
        "input_config_dir": str(opt_ml / "input" / "config"),
        "input_data_config": channels,
        "input_dir": str(opt_ml / "input"),
        "is_master": resources["current_host"] == resources["hosts"][0],
        "job_name": doc["TrainingJobName"],
        "log_level": 20,
        "master_hostname": resources["hosts"][0],
        "model_dir": str(opt_ml / "model"),
        "module_dir": str(hyperparameters.get(SUBMIT_DIRECTORY, str(opt_ml / "code"))),
        "module_name": Path(program).stem,
        "network_interface_name": "lo",
        "num_cpus": os.cpu_count() or 1,
        "num_gpus": 0,
        "output_data_dir": str(opt_ml / "output" / "data"),
        "output_dir": str(opt_ml / "output"),
        "output_intermediate_dir": str(opt_ml / "output" / "intermediate"),
        "resource_config": resources,
        "user_entry_point": program,
    }
    return {**_flat(facts), **_listed(facts, parameters), "SM_TRAINING_ENV": json.dumps(facts)}


def _flat(facts: Mapping[str, Any]) -> dict[str, str]:
    hidden = {
        "additional_framework_parameters",
        "channel_input_dirs",
        "hyperparameters",
        "is_master",
        "job_name",
        "master_hostname",
    }
    return {f"SM_{name.upper()}": _text(value) for name, value in facts.items() if name not in hidden}


def _listed(facts: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, str]:
    channels = facts["channel_input_dirs"]
    return {
        "SM_HPS": json.dumps(parameters),
        "SM_CHANNELS": json.dumps(sorted(channels)),
        "SM_FRAMEWORK_PARAMS": json.dumps(facts["additional_framework_parameters"]),
        "SM_USER_ARGS": json.dumps(arguments(parameters)),
        **{f"SM_CHANNEL_{name.upper()}": path for name, path in channels.items()},
        **{f"SM_HP_{name.upper().replace('-', '_')}": _text(value) for name, value in parameters.items()},
    }


def _text(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)
