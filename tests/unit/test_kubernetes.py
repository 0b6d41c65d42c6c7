"""The manifests, read: Kubernetes' own schemas take them, and what they name is what the services have.

No cluster and no kustomize are here: overlays are put together as kustomize documents it, as far as ours go.
"""

import re
from pathlib import Path
from typing import Any, Final

import click
import kubernetes_validate
import pytest
import yaml

from infra.access.kafka_rights import RIGHTS
from infra.access.redis_rights import RULES
from services import cli
from services.platform.lifecycle import STOP_TIMEOUT_S
from services.platform.metrics import CATALOGUE

FOLDER: Final = Path(__file__).resolve().parents[2] / "infra/kubernetes"
VERSION: Final = "1.33"
KEDA: Final = "keda.sh/v1alpha1"
"""Their schema comes with KEDA and is in no package: what we use of it stands in SCALER."""
SCALER: Final = {
    "prometheus": {"serverAddress", "query", "threshold"},
    "kafka": {"bootstrapServers", "consumerGroup", "topic", "lagThreshold", "allowIdleConsumers", "offsetResetPolicy"},
    "cron": {"timezone", "start", "end", "desiredReplicas"},
}
UNREAD: Final = {
    "allocator": {"MASKLINE_CONTACT_KEYS"},
    "ledger": {
        "MASKLINE_PEPPER_FILE", "MASKLINE_ID_KEY_FILE", "MASKLINE_TICKET_KEY_FILE", "MASKLINE_PASS_KEYS",
        "MASKLINE_CONTACT_KEYS", "MASKLINE_REDIS_PASSWORD_FILE", "MASKLINE_REDIS_CA_FILE",
    },
}  # fmt: skip
"""Settings that a service has because all have them, and never looks at: what they name is kept from it."""
Manifest = dict[str, Any]


def read(path: Path) -> list[Manifest]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each is not None]


def named(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def built(folder: Path) -> dict[tuple[str, str], Manifest]:
    """By kind and name."""
    (kustomization,) = read(folder / "kustomization.yaml")
    found: dict[tuple[str, str], Manifest] = {}
    for name in kustomization["resources"]:
        path = folder / name
        pieces = built(path) if path.is_dir() else {named(each): each for each in read(path)}
        assert not found.keys() & pieces.keys()
        found |= pieces
    for patch in kustomization.get("patches", []):
        for each in read(folder / patch["path"]):
            assert named(each) in found, f"{patch['path']} changes {named(each)}, which is not there"
            found[named(each)] = merged(found[named(each)], each)
    return found


def merged(base: Any, patch: Any) -> Any:
    """Maps one into the other, anything else replaced: right for maps of strings, and for kinds not built in."""
    if not (isinstance(base, dict) and isinstance(patch, dict)):
        return patch
    return base | {name: merged(base.get(name), value) for name, value in patch.items()}


BASE: Final = built(FOLDER / "base")
CITY: Final = built(FOLDER / "city")
DEPLOYMENTS: Final = {name: each for (kind, name), each in BASE.items() if kind == "Deployment"}


def pod(name: str) -> Manifest:
    found: Manifest = DEPLOYMENTS[name]["spec"]["template"]["spec"]
    return found


def containers(name: str) -> list[Manifest]:
    return [*pod(name).get("initContainers", []), *pod(name)["containers"]]


def environment(container: Manifest) -> dict[str, str]:
    """What its process finds, secrets as `$SECRET`."""
    shared = dict(BASE["ConfigMap", "maskline"]["data"]) if container.get("envFrom") else {}
    return shared | {each["name"]: each.get("value", "$SECRET") for each in container.get("env", [])}


def options(name: str) -> dict[str, click.Parameter]:
    """Of a command, by the name of their variable."""
    with cli.maskline.commands[name].make_context(name, [], resilient_parsing=True) as context:
        return {each.envvar: each for each in context.command.params if isinstance(each.envvar, str)}


EACH_CONTAINER: Final = [
    pytest.param(name, container, id=f"{name}/{container['name']}")
    for name in DEPLOYMENTS
    for container in containers(name)
]


@pytest.mark.parametrize("manifest", [*BASE.values(), *CITY.values()], ids=lambda each: "/".join(named(each)))
def test_kubernetes_takes_it(manifest: Manifest) -> None:
    if manifest["apiVersion"] == KEDA:
        assert manifest["kind"] in {"ScaledObject", "TriggerAuthentication"}
        return
    assert kubernetes_validate.validate(manifest, VERSION, strict=True) == VERSION


@pytest.mark.parametrize("manifest", [DEPLOYMENTS["front-door"]], ids=["front-door"])
def test_kubernetes_does_not_take_a_slip_of_the_finger(manifest: Manifest) -> None:
    wrong = merged(manifest, {"spec": {"replica": 2}})
    with pytest.raises(kubernetes_validate.ValidationError, match="replica"):
        kubernetes_validate.validate(wrong, VERSION, strict=True)


def test_every_file_is_in_its_kustomization() -> None:
    for folder in (FOLDER / "base", FOLDER / "city"):
        (kustomization,) = read(folder / "kustomization.yaml")
        named_there = {*kustomization["resources"], *(each["path"] for each in kustomization.get("patches", []))}
        files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        assert files == {name for name in named_there if name.endswith(".yaml")}


@pytest.mark.parametrize(("name", "container"), EACH_CONTAINER)
def test_it_runs_a_command_of_ours_with_settings_that_the_command_has(name: str, container: Manifest) -> None:
    (command, *_) = container["args"]
    known = options(command)
    own = [each["name"] for each in container.get("env", [])]
    assert set(own) <= known.keys(), f"{name}: `maskline {command}` has no such setting"
    for variable, value in environment(container).items():
        option = known.get(variable)
        if option is not None and value != "$SECRET":
            option.type.convert(value, option, None)


def test_the_shared_settings_are_settings_of_some_service() -> None:
    known = {variable for name in cli.PROCESSES for variable in options(name)}
    assert BASE["ConfigMap", "maskline"]["data"].keys() <= known


@pytest.mark.parametrize(("name", "container"), EACH_CONTAINER)
def test_it_can_do_nothing_that_it_need_not(name: str, container: Manifest) -> None:
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}
    of_pod = pod(name)
    assert of_pod["securityContext"]["runAsNonRoot"] is True
    assert of_pod["securityContext"]["runAsUser"] > 0
    assert of_pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (of_pod["automountServiceAccountToken"], of_pod["enableServiceLinks"]) == (False, False)


@pytest.mark.parametrize(("name", "container"), EACH_CONTAINER)
def test_files_that_it_is_told_of_are_mounted(name: str, container: Manifest) -> None:
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert {each["name"] for each in pod(name)["volumes"]} >= set(mounts.values())
    known = options(container["args"][0]).keys() - UNREAD.get(name, set())
    for variable, value in environment(container).items():
        if variable in known and value.startswith("/"):
            assert any(value == mount or value.startswith(f"{mount}/") for mount in mounts), f"{variable}={value}"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_probes_ask_where_somebody_answers(name: str) -> None:
    (container,) = pod(name)["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports["admin"] == int(environment(container)["MASKLINE_ADMIN_PORT"])
    if "http" in ports:
        assert ports["http"] == options(name)["MASKLINE_PORT"].default
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["httpGet"]["port"] in ports
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "admin"}


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_it_has_the_time_that_it_takes_to_end_in_order(name: str) -> None:
    (container,) = pod(name)["containers"]
    before_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod(name)["terminationGracePeriodSeconds"] > before_s + STOP_TIMEOUT_S
    if any(each["name"] == "http" for each in container["ports"]):
        assert before_s >= 5, "balancers would send people to a door that is closed"


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_whoever_ends_pods_leaves_the_others(name: str) -> None:
    labels = DEPLOYMENTS[name]["spec"]["template"]["metadata"]["labels"]
    assert DEPLOYMENTS[name]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    budget = BASE["PodDisruptionBudget", name]["spec"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert budget["maxUnavailable"] == 1


def test_services_and_policies_choose_pods_and_ports_that_are_there() -> None:
    chosen = {name: pod(name)["containers"][0]["ports"] for name in DEPLOYMENTS}
    for (kind, name), each in BASE.items():
        if kind == "Service":
            target = each["spec"]["selector"]["app.kubernetes.io/name"]
            assert target == name
            assert {port["targetPort"] for port in each["spec"]["ports"]} <= {port["name"] for port in chosen[target]}
        if kind == "NetworkPolicy":
            for rule in each["spec"]["podSelector"].get("matchExpressions", []):
                assert set(rule["values"]) <= set(DEPLOYMENTS)


@pytest.mark.parametrize(("name", "container"), EACH_CONTAINER)
def test_it_comes_to_kafka_and_redis_as_a_user_that_has_rights_there(name: str, container: Manifest) -> None:
    own = environment(container)
    assert own["MASKLINE_KAFKA_USER"] in RIGHTS
    assert own.get("MASKLINE_REDIS_USER", "audit") in RULES
    if container["name"] != "prepare":
        assert own["MASKLINE_KAFKA_USER"] == name
        assert own.get("MASKLINE_REDIS_USER", name) == name


@pytest.mark.parametrize("objects", [BASE, CITY], ids=["base", "city"])
def test_keda_scales_what_is_there_by_what_is_measured(objects: dict[tuple[str, str], Manifest]) -> None:
    metrics = " ".join(line.name for metric in CATALOGUE for line in metric.collect())
    for (kind, name), each in objects.items():
        if kind != "ScaledObject":
            continue
        spec = each["spec"]
        assert spec["scaleTargetRef"]["name"] == name in DEPLOYMENTS
        assert "replicas" not in DEPLOYMENTS[name]["spec"], "two would count pods"
        for trigger in spec["triggers"]:
            assert trigger["metadata"].keys() == SCALER[trigger["type"]]
            for metric in re.findall(r"maskline_\w+", trigger["metadata"].get("query", "")):
                assert metric.removesuffix("_total") in metrics
            if "authenticationRef" in trigger:
                assert ("TriggerAuthentication", trigger["authenticationRef"]["name"]) in objects


def test_there_are_never_more_allocators_than_partitions() -> None:
    (prepare,) = pod("console")["initContainers"]
    partitions = int(environment(prepare)["MASKLINE_LOG_PARTITIONS"])
    for objects in (BASE, CITY):
        assert objects["ScaledObject", "allocator"]["spec"]["maxReplicaCount"] == partitions
