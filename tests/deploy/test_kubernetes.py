"""The Kubernetes manifests, without a cluster: schemas, and whether they keep what they promise."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml
from deployment_files import (
    KUBERNETES,
    NOTICE_SECONDS,
    SHUTDOWN_SECONDS,
    check_command,
    check_settings,
    is_pinned,
    load_yaml,
    manifest,
    manifests,
    pod_specs,
)

from coordinator.snapshot import Snapshot

#: The oldest that clouds still run, and one of the newest whose schemas the package has.
_VERSIONS = ("1.29", "1.34")
_WORKERS = ("segue-transcriber", "segue-translator")
_SPOT_LABELS = {
    "kubernetes.azure.com/scalesetpriority": "spot",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "cloud.google.com/gke-spot": "true",
}
_COUNT = {"type": "integer", "minimum": 0}
#: keda.sh/v1alpha1 ScaledJob, as its reference describes it; jobTargetRef is a batch/v1 JobSpec and checked as one.
_SCALED_JOB: dict[str, Any] = {
    "type": "object",
    "required": ["jobTargetRef", "triggers"],
    "additionalProperties": False,
    "properties": {
        "pollingInterval": _COUNT,
        "minReplicaCount": _COUNT,
        "maxReplicaCount": _COUNT,
        "successfulJobsHistoryLimit": _COUNT,
        "failedJobsHistoryLimit": _COUNT,
        "envSourceContainerName": {"type": "string"},
        "rollout": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "strategy": {"enum": ["default", "gradual"]},
                "propagationPolicy": {"enum": ["foreground", "background"]},
            },
        },
        "scalingStrategy": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"strategy": {"enum": ["default", "custom", "accurate", "eager"]}},
        },
        "triggers": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["type", "metadata"],
                "properties": {
                    "type": {"const": "metrics-api"},
                    "metadata": {
                        "type": "object",
                        "required": ["url", "valueLocation", "targetValue"],
                        # KEDA reads strings only.
                        "additionalProperties": {"type": "string"},
                    },
                },
                "additionalProperties": False,
            },
        },
        "jobTargetRef": {"type": "object", "required": ["template"]},
    },
}


def _container(name: str) -> dict[str, Any]:
    (container,) = dict(pod_specs())[name]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def _environment(container: dict[str, Any]) -> dict[str, str]:
    values = {entry["name"]: entry["value"] for entry in container.get("env", []) if "value" in entry}
    if any("configMapRef" in source for source in container.get("envFrom", [])):
        return {**manifest("ConfigMap", "segue-settings")["data"], **values}
    return values


@pytest.mark.parametrize("version", _VERSIONS)
def test_every_object_is_what_kubernetes_expects(version: str) -> None:
    for each in [*manifests(), *load_yaml(KUBERNETES / "base" / "secret.template.yaml")]:
        if each["kind"] == "ScaledJob":
            assert each["apiVersion"] == "keda.sh/v1alpha1"
            jsonschema.validate(each["spec"], _SCALED_JOB)
            spec = each["spec"]["jobTargetRef"]
            job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": spec}
            kubernetes_validate.validate(job, version, strict=True)
        else:
            kubernetes_validate.validate(each, version, strict=True)


def test_the_kustomization_names_every_file_but_the_templates() -> None:
    base = KUBERNETES / "base"
    (kustomization,) = load_yaml(base / "kustomization.yaml")
    others = {"kustomization.yaml", "secret.template.yaml", "monitoring.yaml"}
    assert set(kustomization["resources"]) == {path.name for path in base.glob("*.yaml")} - others
    names = [(each["kind"], each["metadata"]["name"]) for each in manifests()]
    assert len(set(names)) == len(names)
    built = {image["name"] for image in kustomization["images"]}
    for name, pod in pod_specs():
        (container,) = pod["spec"]["containers"]
        assert container["image"] in built or is_pinned(container["image"]), name


def test_the_secret_is_a_template() -> None:
    (secret,) = load_yaml(KUBERNETES / "base" / "secret.template.yaml")
    assert secret["stringData"]["password"] == "CHANGE-ME"
    url = urlsplit(secret["stringData"]["url"])
    assert url.password == "CHANGE-ME"
    service = manifest("Service", url.hostname or "")
    assert service["spec"]["ports"][0]["port"] == url.port


def test_settings_and_commands_exist() -> None:
    for name in (*_WORKERS, "segue-coordinator"):
        container = _container(name)
        check_command(container["args"])
        check_settings(_environment(container))


def test_workers_serve_what_jobs_are_frozen_with() -> None:
    shared = {key for key in manifest("ConfigMap", "segue-settings")["data"] if "TRANSCRIBER" in key or "LATOR" in key}
    assert {"SEGUE_TRANSCRIBER_MODEL", "SEGUE_TRANSCRIBER_COMPUTE_TYPE", "SEGUE_TRANSLATOR_URL"} <= shared
    for name in (*_WORKERS, "segue-coordinator"):
        container = _container(name)
        assert {"configMapRef": {"name": "segue-settings"}} in container["envFrom"]
        assert not shared & {entry["name"] for entry in container.get("env", [])}, name


def test_the_node_that_runs_vllm_is_in_the_books() -> None:
    """A worker on its node gives it a session; the engine that it serves is no API with a fee."""
    settings = manifest("ConfigMap", "segue-settings")["data"]
    assert settings["SEGUE_OWN_ENGINES"] == f"{settings['SEGUE_TRANSLATOR']} {settings['SEGUE_TRANSLATOR_MODEL']}"
    spec = manifest("Deployment", "segue-vllm-worker")["spec"]["template"]["spec"]
    (term,) = spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == dict(pod_specs())["segue-vllm"]["metadata"]["labels"]
    # It goes where vLLM may go, and stays for as long as the node does.
    tolerated = dict(pod_specs())["segue-vllm"]["spec"]["tolerations"]
    assert spec["tolerations"] == tolerated
    (container,) = spec["containers"]
    assert container["args"] == ["worker", "--stages", "translate"]
    check_command(container["args"])
    check_settings(_environment(container))
    assert _environment(container)["SEGUE_PREEMPTION"] == "auto", "its session is known by the cloud's own name for it"


def test_vllm_starts_on_a_t4() -> None:
    container = _container("segue-vllm")
    assert {"--dtype=half", "--attention-backend=TRITON_ATTN", "--enforce-eager"} <= set(container["args"])
    assert not [flag for flag in container["args"] if flag.startswith("--quantization")]
    assert _environment(container)["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    (structured,) = [flag for flag in container["args"] if flag.startswith("--structured-outputs-config=")]
    assert json.loads(structured.partition("=")[2]) == {"backend": "xgrammar", "disable_any_whitespace": True}


def test_pods_have_no_rights_and_limited_memory() -> None:
    for name, pod in pod_specs():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        (container,) = spec["containers"]
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security.get("readOnlyRootFilesystem") is True or name == "segue-vllm", name
        assert "memory" in container["resources"]["limits"], name
        assert {"cpu", "memory"} <= set(container["resources"]["requests"]), name


def test_volumes_that_are_mounted_exist() -> None:
    claims = {each["metadata"]["name"] for each in manifests() if each["kind"] == "PersistentVolumeClaim"}
    for name, pod in pod_specs():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        (container,) = pod["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes), name
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name
        paths = {mount["mountPath"] for mount in container["volumeMounts"]}
        environment = _environment(container)
        if "SEGUE_HOME" in environment:
            assert environment["SEGUE_HOME"] in paths
            assert environment["SEGUE_BROKER_URL_FILE"].rpartition("/")[0] in paths
            items = next(v["secret"]["items"] for v in volumes.values() if "secret" in v)
            assert items[0]["path"] == environment["SEGUE_BROKER_URL_FILE"].rpartition("/")[2]
    assert manifest("PersistentVolumeClaim", "segue-home")["spec"]["accessModes"] == ["ReadWriteMany"]


@pytest.mark.parametrize("name", _WORKERS)
def test_keda_counts_waiting_and_running_work_and_never_ends_a_running_job(name: str) -> None:
    spec = manifest("ScaledJob", name)["spec"]
    # "default" subtracts all unfinished Jobs, so the number must hold running work; the others would count it twice.
    assert spec["scalingStrategy"]["strategy"] == "default"
    assert spec["rollout"]["strategy"] == "gradual"
    assert spec["minReplicaCount"] == 0
    job = spec["jobTargetRef"]
    assert "activeDeadlineSeconds" not in job
    assert (job["parallelism"], job["completions"]) == (1, 1)
    annotations = job["template"]["metadata"]["annotations"]
    assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
    assert annotations["karpenter.sh/do-not-disrupt"] == "true"
    (rule,) = job["podFailurePolicy"]["rules"]
    assert rule == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    assert job["template"]["spec"]["restartPolicy"] == "Never"
    assert "--exit-when-idle" in _container(name)["args"]


@pytest.mark.parametrize("name", _WORKERS)
def test_keda_asks_the_coordinator_for_a_number_that_it_answers(name: str) -> None:
    spec = manifest("ScaledJob", name)["spec"]
    (trigger,) = spec["triggers"]
    url = urlsplit(trigger["metadata"]["url"])
    service_name, namespace = (url.hostname or "").split(".")[:2]
    (kustomization,) = load_yaml(KUBERNETES / "base" / "kustomization.yaml")
    assert namespace == kustomization["namespace"]
    (port,) = manifest("Service", service_name)["spec"]["ports"]
    assert port["port"] == url.port
    stage = url.path.removeprefix("/keda/")
    answer = Snapshot(leading=True, batches={stage: {"queued": 3, "running": 2}}).scale(stage)
    assert answer is not None
    assert answer[trigger["metadata"]["valueLocation"]] == 5
    assert int(trigger["metadata"]["targetValue"]) >= 1
    arguments = _container(name)["args"]
    assert stage in arguments[arguments.index("--stages") + 1].split(",")


def test_every_stage_has_its_workers() -> None:
    stages: list[str] = []
    for name in _WORKERS:
        arguments = _container(name)["args"]
        stages += arguments[arguments.index("--stages") + 1].split(",")
    assert sorted(stages) == ["detect", "transcribe", "translate"]


def test_services_lead_to_the_ports_that_pods_listen_at() -> None:
    pods = {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod for _, pod in pod_specs()}
    for service in (each for each in manifests() if each["kind"] == "Service"):
        pod = pods[service["spec"]["selector"]["app.kubernetes.io/name"]]
        (container,) = pod["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        listen = _environment(container).get("SEGUE_LISTEN", "")
        assert not listen or int(listen.rpartition(":")[2]) == ports["http"]
    url = urlsplit(manifest("ConfigMap", "segue-settings")["data"]["SEGUE_TRANSLATOR_URL"])
    assert manifest("Service", url.hostname or "")["spec"]["ports"][0]["port"] == url.port
    assert f"--port={url.port}" in _container("segue-vllm")["args"]
    assert (
        f"--model={manifest('ConfigMap', 'segue-settings')['data']['SEGUE_TRANSLATOR_MODEL']}"
        in _container("segue-vllm")["args"]
    )


def test_the_network_is_closed_but_for_ports_that_somebody_listens_at() -> None:
    policies = [each for each in manifests() if each["kind"] == "NetworkPolicy"]
    assert any(p["spec"]["podSelector"] == {} and "ingress" not in p["spec"] for p in policies)
    listening = {p["containerPort"] for _, pod in pod_specs() for p in pod["spec"]["containers"][0]["ports"]}
    labels = {pod["metadata"]["labels"]["app.kubernetes.io/name"] for _, pod in pod_specs()}
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            assert {port["port"] for port in rule["ports"]} <= listening
        named = re.findall(r"'(segue-(?:redis|vllm|coordinator|trans\w+))'", str(policy["spec"]))
        assert set(named) <= labels


def test_what_must_not_vanish_is_kept_off_spot_machines() -> None:
    for name in ("segue-coordinator", "segue-redis"):
        spec = dict(pod_specs())[name]["spec"]
        required = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        (term,) = required["nodeSelectorTerms"]
        kept_off = {each["key"]: each["values"] for each in term["matchExpressions"] if each["operator"] == "NotIn"}
        assert kept_off == {key: [value] for key, value in _SPOT_LABELS.items()}
        assert "tolerations" not in spec
    deployment = manifest("Deployment", "segue-coordinator")["spec"]
    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})


def test_workers_may_run_on_spot_machines_of_each_cloud() -> None:
    for name in _WORKERS:
        tolerated = {each["key"]: each.get("value") for each in dict(pod_specs())[name]["spec"]["tolerations"]}
        assert _SPOT_LABELS.items() <= tolerated.items(), name
    assert _container("segue-transcriber")["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in _container("segue-translator")["resources"]["limits"]


@pytest.mark.parametrize("name", _WORKERS)
def test_a_worker_is_through_before_its_node_is_gone(name: str) -> None:
    pod_seconds = dict(pod_specs())[name]["spec"]["terminationGracePeriodSeconds"]
    assert pod_seconds <= min(NOTICE_SECONDS.values()) - SHUTDOWN_SECONDS
    assert int(_environment(_container(name))["SEGUE_GRACE_SECONDS"]) + 3 <= pod_seconds


def test_on_gke_it_is_through_within_the_15_seconds_that_pods_are_given() -> None:
    (kustomization,) = load_yaml(KUBERNETES / "gke" / "kustomization.yaml")
    assert (KUBERNETES / "gke" / kustomization["resources"][0]).resolve() == (KUBERNETES / "base").resolve()
    (patch,) = kustomization["patches"]
    assert patch["target"] == {"kind": "ScaledJob"}
    operations = yaml.safe_load(patch["patch"])
    for name in _WORKERS:
        for operation in operations:
            *above, last = operation["path"].strip("/").split("/")
            place: Any = manifest("ScaledJob", name)
            for part in above:
                place = place[int(part)] if isinstance(place, list) else place[part]
            assert last in place
            if operation["op"] == "test":
                assert place[last] == operation["value"]
    values = {each["path"].rpartition("/")[2]: each["value"] for each in operations if each["op"] == "replace"}
    assert int(values["value"]) + 3 <= values["terminationGracePeriodSeconds"] <= 15


def test_redis_asks_for_a_password_and_keeps_its_keys() -> None:
    container = _container("segue-redis")
    assert "--maxmemory-policy noeviction" in container["command"][-1]
    assert '--requirepass "$REDISCLI_AUTH"' in container["command"][-1]
    (entry,) = container["env"]
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "segue-broker", "key": "password"}}


def test_metrics_are_scraped_from_ports_and_labels_that_exist() -> None:
    labels = {pod["metadata"]["labels"]["app.kubernetes.io/name"] for _, pod in pod_specs()}
    for monitor in load_yaml(KUBERNETES / "base" / "monitoring.yaml"):
        assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
        selector = monitor["spec"]["selector"]
        chosen = {*selector.get("matchLabels", {}).values()}
        chosen |= {value for each in selector.get("matchExpressions", []) for value in each["values"]}
        assert chosen
        assert chosen <= labels
        for endpoint in monitor["spec"].get("endpoints", []) + monitor["spec"].get("podMetricsEndpoints", []):
            assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
