"""SageMaker's models, configurations and endpoints as a dictionary, with AWS's refusals: for doors that ask more than moto plays."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError


def refusal(message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)


class FakeEndpoints:
    """An update is under way until `settle`; `ends_with` makes it end elsewhere, as AWS may."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, Any]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.approvals: dict[str, str] = {}
        self.digests: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.autoscaling: FakeScaling | None = None

    def create_model(self, ModelName: str, **asked: Any) -> None:
        if ModelName in self.models:
            raise refusal(f"Cannot create already existing model {ModelName}", "CreateModel")
        self.models[ModelName] = asked

    def describe_model(self, ModelName: str) -> dict[str, Any]:
        return self.models[ModelName]

    def create_endpoint_config(self, EndpointConfigName: str, **asked: Any) -> None:
        if EndpointConfigName in self.configs:
            raise refusal(
                f"Cannot create already existing endpoint configuration {EndpointConfigName}", "CreateEndpointConfig"
            )
        self.configs[EndpointConfigName] = {**asked, "EnableNetworkIsolation": False}

    def describe_endpoint_config(self, EndpointConfigName: str) -> dict[str, Any]:
        if EndpointConfigName not in self.configs:
            raise refusal(f'Could not find endpoint configuration "{EndpointConfigName}".', "DescribeEndpointConfig")
        return self.configs[EndpointConfigName]

    def create_endpoint(self, EndpointName: str, EndpointConfigName: str) -> None:
        if EndpointName in self.endpoints:
            raise refusal(f"Cannot create already existing endpoint {EndpointName}", "CreateEndpoint")
        self.endpoints[EndpointName] = {"EndpointStatus": "Creating", "EndpointConfigName": EndpointConfigName}
        self.settle(EndpointName)

    def describe_endpoint(self, EndpointName: str) -> dict[str, Any]:
        if EndpointName not in self.endpoints:
            raise refusal(f'Could not find endpoint "{EndpointName}".', "DescribeEndpoint")
        return self.endpoints[EndpointName]

    def update_endpoint(self, EndpointName: str, EndpointConfigName: str, **options: Any) -> None:
        endpoint = self._settled(EndpointName, "UpdateEndpoint", also="UpdateRollbackFailed")
        staying = {row["VariantName"] for row in self.configs[EndpointConfigName]["ProductionVariants"]}
        leaving = {row["VariantName"] for row in endpoint["ProductionVariants"]} - staying
        registered = self.autoscaling.slots(EndpointName) if self.autoscaling else set()
        if leaving & registered:
            raise refusal("The variant(s) must be deregistered as scalable targets with AWS Auto Scaling", "Update")
        self.calls.append(("update", {"endpoint": EndpointName, "config": EndpointConfigName, **options}))
        endpoint |= {
            "EndpointStatus": "Updating",
            "PendingDeploymentSummary": {"EndpointConfigName": EndpointConfigName},
        }

    def update_endpoint_weights_and_capacities(self, EndpointName: str, DesiredWeightsAndCapacities: list[Any]) -> None:
        endpoint = self._settled(EndpointName, "UpdateEndpointWeightsAndCapacities")
        self.calls.append(("weights", {"endpoint": EndpointName, "asked": DesiredWeightsAndCapacities}))
        for row in endpoint["ProductionVariants"]:
            for asked in DesiredWeightsAndCapacities:
                if asked["VariantName"] == row["VariantName"]:
                    row |= {key: value for key, value in asked.items() if key != "VariantName"}

    def describe_model_package(self, ModelPackageName: str) -> dict[str, Any]:
        return {
            "ModelApprovalStatus": self.approvals.get(ModelPackageName, "Approved"),
            "CustomerMetadataProperties": {"digest": self.digests[ModelPackageName]},
        }

    def settle(self, name: str) -> None:
        """What was asked for has come about; counts and weights that ran are kept (RetainAllVariantProperties)."""
        endpoint = self.endpoints[name]
        config = (endpoint.pop("PendingDeploymentSummary", None) or endpoint)["EndpointConfigName"]
        before = {row["VariantName"]: row for row in endpoint.get("ProductionVariants", [])}
        endpoint |= {"EndpointStatus": "InService", "EndpointConfigName": config}
        endpoint["ProductionVariants"] = [
            before.get(row["VariantName"])
            or {
                "VariantName": row["VariantName"],
                "DesiredWeight": row["InitialVariantWeight"],
                "CurrentInstanceCount": row["InitialInstanceCount"],
                "DesiredInstanceCount": row["InitialInstanceCount"],
            }
            for row in self.configs[config]["ProductionVariants"]
        ]

    def slots(self, name: str) -> dict[str, str]:
        """Model by slot of the configuration that the endpoint runs or goes to."""
        endpoint = self.endpoints[name]
        config = endpoint.get("PendingDeploymentSummary", endpoint)["EndpointConfigName"]
        return {row["VariantName"]: row["ModelName"] for row in self.configs[config]["ProductionVariants"]}

    def _settled(self, name: str, operation: str, also: str = "InService") -> dict[str, Any]:
        endpoint = self.describe_endpoint(name)
        if endpoint["EndpointStatus"] not in ("InService", also):
            raise refusal(f'Cannot update in-progress endpoint "{name}".', operation)
        return endpoint


class FakeScaling:
    """Application Auto Scaling of variants: a target that is deregistered loses its policies."""

    def __init__(self) -> None:
        self.targets: dict[str, dict[str, Any]] = {}
        self.policies: dict[str, list[dict[str, Any]]] = {}

    def slots(self, endpoint: str) -> set[str]:
        return {key.rpartition("/")[2] for key in self.targets if key.startswith(f"endpoint/{endpoint}/")}

    def describe_scalable_targets(self, ResourceIds: list[str], **_: Any) -> dict[str, Any]:
        found = [{"ResourceId": key, **self.targets[key]} for key in ResourceIds if key in self.targets]
        return {"ScalableTargets": found}

    def describe_scaling_policies(self, ResourceId: str, **_: Any) -> dict[str, Any]:
        return {"ScalingPolicies": [{**one, "PolicyARN": "arn"} for one in self.policies.get(ResourceId, [])]}

    def register_scalable_target(self, ResourceId: str, MinCapacity: int, MaxCapacity: int, **_: Any) -> None:
        self.targets[ResourceId] = {"MinCapacity": MinCapacity, "MaxCapacity": MaxCapacity}

    def deregister_scalable_target(self, ResourceId: str, **_: Any) -> None:
        del self.targets[ResourceId]
        self.policies.pop(ResourceId, None)

    def put_scaling_policy(self, ResourceId: str, ServiceNamespace: str, ScalableDimension: str, **policy: Any) -> None:
        self.policies.setdefault(ResourceId, []).append(policy)


class MemoryNotes:
    """`ScalingNotes` without a table."""

    def __init__(self) -> None:
        self.noted: dict[str, dict[str, Any]] = {}

    def read(self, endpoint: str) -> dict[str, Any]:
        return dict(self.noted.get(endpoint, {}))

    def write(self, endpoint: str, targets: dict[str, Any]) -> None:
        self.noted[endpoint] = dict(targets)

    def forget(self, endpoint: str) -> None:
        self.noted.pop(endpoint, None)
