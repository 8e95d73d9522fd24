"""docker-compose.yml, without docker."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from deployment_files import (
    DEPLOY,
    ROOT,
    check_command,
    check_settings,
    compose,
    env_file,
    interpolate,
    is_pinned,
    load_yaml,
    seconds,
)

_STRINGS = {"type": "array", "items": {"type": "string"}}
_DURATION = {"type": "string", "pattern": r"^(\d+h)?(\d+m)?(\d+s)?$", "minLength": 2}
_ENVIRONMENT = {"type": "object", "additionalProperties": {"type": "string"}}
_DEVICE = {
    "type": "object",
    "required": ["capabilities"],
    "properties": {"driver": {"type": "string"}, "count": {"type": "integer"}, "capabilities": _STRINGS},
    "additionalProperties": False,
}
#: The part of the compose specification that this file uses; a key outside it is a slip or needs a line here.
_SERVICE: dict[str, Any] = {
    "type": "object",
    "required": ["image"],
    "additionalProperties": False,
    "properties": {
        "image": {"type": "string"},
        "build": {
            "type": "object",
            "required": ["context", "dockerfile"],
            "properties": {"context": {"type": "string"}, "dockerfile": {"type": "string"}},
            "additionalProperties": False,
        },
        "command": _STRINGS,
        "hostname": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "environment": _ENVIRONMENT,
        "user": {"type": "string", "pattern": r"^\d+:\d+$"},
        "init": {"type": "boolean"},
        "ipc": {"enum": ["private", "shareable"]},
        "shm_size": {"type": "string", "pattern": "^[0-9]+(mb|gb)$"},
        "read_only": {"type": "boolean"},
        "tmpfs": _STRINGS,
        "cap_drop": _STRINGS,
        "security_opt": _STRINGS,
        "networks": _STRINGS,
        "volumes": {"type": "array", "items": {"type": "string", "pattern": r"^[^:]+:/[^:]+(:ro)?$"}},
        "ports": {"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
        "profiles": _STRINGS,
        "restart": {"enum": ["unless-stopped"]},
        "stop_grace_period": _DURATION,
        "depends_on": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["condition"],
                "properties": {"condition": {"enum": ["service_healthy"]}},
                "additionalProperties": False,
            },
        },
        "healthcheck": {
            "type": "object",
            "required": ["test", "interval", "timeout", "retries"],
            "additionalProperties": False,
            "properties": {
                "test": {**_STRINGS, "contains": {"enum": ["CMD", "CMD-SHELL"]}},
                "interval": _DURATION,
                "timeout": _DURATION,
                "start_period": _DURATION,
                "retries": {"type": "integer", "minimum": 1},
            },
        },
        "deploy": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "replicas": {"type": ["string", "integer"]},
                "resources": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "reservations": {
                            "type": "object",
                            "additionalProperties": False,
                            "properties": {"devices": {"type": "array", "items": _DEVICE}},
                        }
                    },
                },
            },
        },
    },
}
_FILE = {
    "type": "object",
    "required": ["services"],
    "patternProperties": {"^x-": {}},
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        "services": {"type": "object", "additionalProperties": _SERVICE},
        "networks": {"type": "object"},
        "volumes": {"type": "object"},
    },
}
_OURS = ("coordinator", "worker", "worker-gpu", "worker-translate")
_GPU = env_file(DEPLOY / "compose" / "gpu.env")


def test_the_file_is_what_compose_expects() -> None:
    jsonschema.validate(compose(), _FILE)
    jsonschema.validate(compose(_GPU), _FILE)


def test_everything_that_a_service_names_is_declared() -> None:
    document = compose()
    for name, service in document["services"].items():
        assert set(service.get("networks", [])) <= set(document["networks"]), name
        assert set(service.get("depends_on", {})) <= set(document["services"]), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in document["volumes"] or source.startswith("./"), volume
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()
        for other, condition in service.get("depends_on", {}).items():
            assert condition["condition"] == "service_healthy"
            assert "healthcheck" in document["services"][other]


def test_the_password_must_be_set_and_stands_nowhere() -> None:
    (raw,) = load_yaml(ROOT / "docker-compose.yml")
    with pytest.raises(KeyError, match="REDIS_PASSWORD"):
        interpolate(raw, {})
    filled = compose({"REDIS_PASSWORD": "feed"})
    assert filled["services"]["redis"]["environment"]["REDISCLI_AUTH"] == "feed"
    url = urlsplit(filled["services"]["worker"]["environment"]["SEGUE_BROKER_URL"])
    assert (url.scheme, url.password, url.hostname, url.port) == ("redis", "feed", "redis", 6379)


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    table = (ROOT / "docs" / "deploy.md").read_text("utf-8").partition("| variable |")[2].partition("\n\n")[0]
    documented = set(re.findall(r"`([A-Z_]{4,})`", table))
    assert used == documented
    assert set(_GPU) <= used


@pytest.mark.parametrize("variables", [{}, _GPU], ids=["cpu", "gpu"])
def test_settings_and_commands_of_all_services_exist(variables: dict[str, str]) -> None:
    services = compose(variables)["services"]
    for name in _OURS:
        check_settings(services[name]["environment"])
        check_command(services[name]["command"])


def test_all_services_freeze_and_serve_the_same_engines() -> None:
    services = compose(_GPU)["services"]
    engines = [
        {
            key: value
            for key, value in services[name]["environment"].items()
            if ("TRANSCRIBER" in key or "TRANSL" in key) and "CONCURRENCY" not in key  # No part of what is frozen.
        }
        for name in _OURS
    ]
    assert all(each == engines[0] for each in engines)
    assert engines[0]["SEGUE_TRANSCRIBER_COMPUTE_TYPE"] == "int8_float16"


def test_images_are_pinned_or_built_here() -> None:
    for name, service in compose()["services"].items():
        assert "build" in service or is_pinned(service["image"]), name


def test_containers_have_as_few_rights_as_they_can() -> None:
    for name, service in compose()["services"].items():
        if name == "vllm":  # Somebody else's image, which writes where it likes.
            continue
        assert service["user"].split(":")[0] != "0", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_redis_keeps_its_keys_and_is_not_reachable_from_outside() -> None:
    redis = compose()["services"]["redis"]
    assert "--maxmemory-policy noeviction" in redis["command"][-1]
    assert '--requirepass "$REDISCLI_AUTH"' in redis["command"][-1]
    assert "ports" not in redis


def test_a_worker_is_through_before_docker_kills_it() -> None:
    services = compose()["services"]
    for name in ("worker", "worker-gpu", "worker-translate"):
        grace = int(services[name]["environment"]["SEGUE_GRACE_SECONDS"])
        assert grace + 3 <= seconds(services[name]["stop_grace_period"]) <= 30


def test_something_reaps_orphans_in_every_container() -> None:
    images = [(DEPLOY / "images" / f"Dockerfile.{kind}").read_text("utf-8") for kind in ("cpu", "cuda")]
    tini = all('ENTRYPOINT ["tini", "--", "segue"]' in text for text in images)
    for name, service in compose()["services"].items():
        assert service.get("init") or (tini and "build" in service), name


def test_health_is_asked_where_the_service_listens() -> None:
    for name in _OURS:
        service = compose()["services"][name]
        port = service["environment"]["SEGUE_LISTEN"].rpartition(":")[2]
        assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]


def test_gpus_are_asked_for_by_the_gpu_profiles_alone() -> None:
    with_gpu = set()
    for name, service in compose()["services"].items():
        devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        if devices:
            with_gpu.add(name)
            assert "gpu" in service["profiles"], name
            assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert with_gpu == {"worker-gpu", "vllm"}
    # Where vLLM has the machine, the worker that gives the machine its session comes along.
    assert {name for name, service in compose()["services"].items() if "vllm" in service.get("profiles", [])} == {
        "vllm",
        "worker-translate",
    }


def test_a_gpu_waits_for_no_translator_and_translation_waits_on_a_cpu() -> None:
    services = compose(_GPU)["services"]
    assert services["worker-gpu"]["command"] == ["worker", "--stages", "transcribe"]
    assert services["worker-translate"]["command"] == ["worker", "--stages", "translate"]
    assert services["worker-translate"]["environment"]["SEGUE_DEVICE"] == "cpu"
    for name in ("worker-gpu", "worker-translate"):
        # Neither ends, nor is held back, because vLLM is not there: the one needs it not, the other waits by itself.
        assert set(services[name]["depends_on"]) == {"redis"}
    flags = _vllm_flags()
    assert services["worker-translate"]["environment"]["SEGUE_TRANSLATOR_CONCURRENCY"] == flags["max-num-seqs"]


def test_all_workers_of_a_machine_are_one_node_whose_rent_is_counted_once() -> None:
    services = compose(_GPU)["services"]
    workers = {name: service for name, service in services.items() if service["command"][0] == "worker"}
    assert set(workers) == {"worker", "worker-gpu", "worker-translate"}
    # A node's session is named after the boot, and the cloud's name for the machine or else the host name.
    assert {service["hostname"] for service in workers.values()} == {"segue-node"}
    assert {service["environment"]["SEGUE_PREEMPTION"] for service in workers.values()} == {"auto"}
    assert _GPU["SEGUE_OWN_ENGINES"] == f"{_GPU['SEGUE_TRANSLATOR']} {_GPU['SEGUE_TRANSLATOR_MODEL']}"
    assert all(services[name]["environment"]["SEGUE_OWN_ENGINES"] == _GPU["SEGUE_OWN_ENGINES"] for name in _OURS)


def test_vllm_serves_the_model_that_jobs_are_frozen_with_where_they_look_for_it() -> None:
    vllm, flags = compose(_GPU)["services"]["vllm"], _vllm_flags()
    url = urlsplit(_GPU["SEGUE_TRANSLATOR_URL"])
    assert flags["model"] == _GPU["SEGUE_TRANSLATOR_MODEL"] == "Qwen/Qwen3-8B-AWQ"
    assert (url.hostname, str(url.port), url.path) == ("vllm", flags["port"], "/v1")
    assert f":{flags['port']}/health" in vllm["healthcheck"]["test"][-1]


def test_vllm_leaves_whisper_its_part_of_a_t4() -> None:
    flags = _vllm_flags()
    card_gib, weights_gib = 15.0, 5.7
    whisper_gib = 1.9 + 0.4 * int(_GPU["GPU_BATCH_SIZE"])
    share_gib = card_gib * float(flags["gpu-memory-utilization"])
    assert share_gib + whisper_gib <= card_gib
    # Keys and values of one longest request: 36 layers, 8 heads of 128, two of them, two bytes.
    request_gib = int(flags["max-model-len"]) * 36 * 8 * 128 * 2 * 2 / 2**30
    assert weights_gib + 1.0 + int(flags["max-num-seqs"]) * request_gib <= share_gib + request_gib


def test_vllm_starts_on_a_t4() -> None:
    flags, service = _vllm_flags(), compose(_GPU)["services"]["vllm"]
    assert flags["dtype"] == "half", "compute capability 7.5 has no bfloat16"
    assert flags["attention-backend"] == "TRITON_ATTN", "FlashAttention needs 8.0"
    assert service["environment"]["VLLM_USE_FLASHINFER_SAMPLER"] == "0", "so does FlashInfer's sampler"
    assert "quantization" not in flags, "vLLM takes Marlin by itself, from 7.5 on"
    assert json.loads(flags["structured-outputs-config"]) == {"backend": "xgrammar", "disable_any_whitespace": True}


def test_a_fleet_reaches_redis_at_a_private_address_and_the_store_on_the_share() -> None:
    (raw,) = load_yaml(DEPLOY / "compose" / "fleet.yaml")
    with pytest.raises(KeyError, match="PRIVATE_ADDRESS"):
        interpolate(raw, {})
    filled = interpolate(raw, {"PRIVATE_ADDRESS": "10.0.0.5"})
    assert filled["services"] == {"redis": {"ports": ["10.0.0.5:6379:6379"]}}
    assert set(filled["volumes"]) <= set(compose()["volumes"])
    unit = (DEPLOY / "spot" / "segue-worker@.service").read_text("utf-8")
    assert f"Environment=SEGUE_HOME={filled['volumes']['segue-home']['driver_opts']['device']}\n" in unit


def _vllm_flags() -> dict[str, str]:
    flags = compose(_GPU)["services"]["vllm"]["command"]
    return dict(flag.removeprefix("--").partition("=")[::2] for flag in flags)
