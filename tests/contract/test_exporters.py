"""Every exporter gives files with safe names and the same bytes each time; those of Kubernetes are valid."""

import copy
import io
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

import ttamer.planning.exporters
from ttamer.planning.exporters import EXPORTERS
from ttamer.planning.exporters.kubernetes import group_names
from ttamer.planning.exporters.kubernetes_rules import problems
from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiles.plan import Group, Plan, PolicySpec, ProfileReference, Promise, Solve
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Pool, Service

GOLDEN = Path(__file__).parent.parent / "golden" / "exports"
ORIGIN = Provenance(ttamer="0.1.0")


def group(policy: str, **changes: Any) -> Group:
    """A replica group on two cores."""
    usual: dict[str, Any] = {
        "stage": "serve", "model": "Res_Net.18", "policy": policy, "device": "cpu", "cores": 2, "batch": 4,
        "batch_timeout_s": 0.0123456, "replicas": 3, "share": 0.75, "rate_rps": 75.0, "capacity_rps": 30.0,
        "utilization": 0.6, "service_s": 0.08, "latency_s": 0.19, "accuracy": 0.9, "accuracy_low": 0.88,
        "memory_bytes": 300 * 2**20, "load_time_s": 2.5,
    }  # fmt: skip
    return Group(**(usual | changes))


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Three quarters of the load on a model with a threshold, the rest on another one without exits."""
    threshold = PolicySpec(
        kind="confidence-threshold",
        model="Res_Net.18",
        params={"threshold": 0.875, "heads": [1, 3]},
        fitted_on={"calibration": "d3cbf22cf3f2e19f"},
        chosen_on={"validation": "6e52b4ebc88ec616"},
    )
    small = group(
        "small/last-exit", model="small", cores=1, batch=1, batch_timeout_s=0.0, replicas=1, share=0.25, rate_rps=25.0
    )
    return Plan(
        service=Service(slo_s=0.2, rate_rps=100.0),
        profile=ProfileReference(name="made-up", path="", digest="0123456789abcdef", machine="made-up"),
        promise=Promise(latency_s=0.19, quantile=0.99, accuracy=0.9, utilization=0.6, cores=7),
        groups=(group("Res_Net.18/confidence-threshold"), small),
        policies={
            "Res_Net.18/confidence-threshold": threshold,
            "small/last-exit": PolicySpec(kind="last-exit", model="small"),
        },
        solve=Solve(solver="highs", status="optimal", objective=0.893, bound=0.893, columns=10, columns_pruned=5),
    )


def manifests(plan: Plan) -> list[list[dict[str, Any]]]:
    return [list(yaml.safe_load_all(content)) for _, content in EXPORTERS["kubernetes"](plan, ORIGIN)]


def test_every_file_of_the_folder_is_an_exporter_or_its_rules() -> None:
    files = {module.name for module in pkgutil.iter_modules(ttamer.planning.exporters.__path__)}
    assert files == set(EXPORTERS) | {"kubernetes_rules"}


@pytest.mark.parametrize("name", EXPORTERS)
def test_it_gives_files_with_plain_names_and_content(name: str, plan: Plan) -> None:
    files = EXPORTERS[name](plan, ORIGIN)
    names = [file for file, _ in files]
    assert names
    assert len(set(names)) == len(names)
    assert all(Path(file).name == file and content for file, content in files)


def test_the_yaml_reads_back_as_the_plan(plan: Plan, tmp_path: Path) -> None:
    ((name, content),) = EXPORTERS["yaml"](plan, ORIGIN)
    (tmp_path / name).write_bytes(content)
    assert Plan.read(tmp_path / name) == plan


def test_the_parquet_has_a_row_a_group(plan: Plan) -> None:
    ((_, content),) = EXPORTERS["parquet"](plan, ORIGIN)
    rows = pq.read_table(io.BytesIO(content)).to_pylist()
    assert [row["model"] for row in rows] == [group.model for group in plan.groups]
    assert rows[0]["latency_s"] == plan.groups[0].latency_s


def test_manifests_satisfy_the_schemas_of_kubernetes(plan: Plan) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="needs kubernetes-validate")
    for manifest in [one for documents in manifests(plan) for one in documents]:
        validator.validate(manifest, "1.35", strict=True)


def test_a_deployment_says_what_the_plan_says(plan: Plan) -> None:
    config, deployment, service = manifests(plan)[0]
    promised = plan.groups[0]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == promised.replicas
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["resources"]["limits"]["cpu"] == str(promised.cores)
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert environment == {"OMP_NUM_THREADS": str(promised.cores), **KEEP_MEMORY}
    assert int(container["resources"]["limits"]["memory"].removesuffix("Mi")) * 2**20 >= 1.25 * promised.memory_bytes
    assert container["args"][container["args"].index("--batch") + 1] == str(promised.batch)
    timeout_us = float(container["args"][container["args"].index("--batch-timeout") + 1].removesuffix("us"))
    assert timeout_us == pytest.approx(1e6 * promised.batch_timeout_s, abs=1)
    assert deployment["metadata"]["annotations"]["ttamer/load-share"] == f"{promised.share:.6g}"
    assert PolicySpec.model_validate(yaml.safe_load(config["data"]["policy.yaml"])) == plan.policies[promised.policy]
    assert service["spec"]["selector"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()


def test_manifests_are_those_that_were_agreed_on(plan: Plan) -> None:
    """The files under tests/golden/exports; write them anew with the exporter when a change is meant."""
    files = dict(EXPORTERS["kubernetes"](plan, ORIGIN))
    assert sorted(files) == sorted(path.name for path in GOLDEN.glob("*.yaml"))
    for name, content in files.items():
        assert content.decode() == (GOLDEN / name).read_text(), name


def test_names_are_valid_and_distinct_for_any_policy_name(plan: Plan) -> None:
    group = plan.groups[0]
    odd = [
        group.model_copy(update={"policy": name}) for name in ("18_ÄÖ//x", "a" * 200, "a" * 201, "A/b", "a/B", "---")
    ]
    names = group_names([*odd, odd[0]])
    assert len(set(names)) == len(names)
    assert all(len(name) <= 56 and name[0].isalpha() and name[-1].isalnum() and name == name.lower() for name in names)


Break = Callable[[list[dict[str, Any]]], None]


def container_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = documents[1]["spec"]["template"]["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda docs: docs[2]["metadata"].update(name="18-net"), "no valid name"),
        (lambda docs: docs[1]["metadata"]["labels"].update({"bad key!": "x"}), "no valid label"),
        (lambda docs: docs[1]["metadata"]["annotations"].update(share=1), "no valid annotation"),
        (lambda docs: docs[1]["spec"]["selector"].update(matchLabels={"a": "b"}), "does not match the pods"),
        (lambda docs: docs[2]["spec"].update(selector={"a": "b"}), "selects 0 Deployments"),
        (lambda docs: container_of(docs)["resources"]["limits"].update(cpu="1500m"), "differ from limits"),
        (lambda docs: [container_of(docs)["resources"][k].update(cpu="0") for k in ("requests", "limits")], "no whole"),
        (lambda docs: [container_of(docs)["resources"][k].update(memory="1 GB") for k in ("requests", "limits")],
         "no valid quantity"),
        (lambda docs: container_of(docs).update(image="Bad Image"), "no valid image"),
        (lambda docs: container_of(docs)["volumeMounts"][0].update(name="other"), "unknown volume"),
        (lambda docs: container_of(docs)["resizePolicy"][0].update(restartPolicy="Never"), "no valid resize policy"),
        (lambda docs: docs.pop(0), "no ConfigMap"),
        (lambda docs: docs.append(docs[0]), "there twice"),
        (lambda docs: docs[2]["spec"]["ports"][0].update(targetPort="grpc"), "no port 'grpc'"),
    ],
)  # fmt: skip
def test_what_schemas_let_pass_is_caught_by_our_own_rules(break_it: Break, said: str, plan: Plan) -> None:
    documents = copy.deepcopy(manifests(plan)[0])
    assert problems(documents) == []
    break_it(documents)
    assert any(said in problem for problem in problems(documents))


def fleet(plan: Plan, *pools: Pool) -> Plan:
    """The plan with its groups on the pools, the second one on a GPU if that pool has some."""
    groups = tuple(
        one.model_copy(update={"pool": pool.name, "device": pool.device, "policy": "small/last-exit"})
        for one, pool in zip(plan.groups, pools, strict=True)
    )
    return plan.model_copy(update={"groups": groups, "service": plan.service.model_copy(update={"pools": pools})})


def pods(plan: Plan) -> list[dict[str, Any]]:
    """The pod templates of a plan's groups, in order."""
    manifests = [yaml.safe_load_all(content) for _, content in EXPORTERS["kubernetes"](plan, ORIGIN)]
    return [one["spec"]["template"] for some in manifests for one in some if one["kind"] == "Deployment"]


def test_pods_of_a_fleet_ask_for_what_their_pool_has(plan: Plan) -> None:
    cpu, gpu = pods(fleet(plan, Pool(name="rack", price=0.04), Pool(name="cards", device="cuda", price=1.1)))
    assert [one["metadata"]["labels"]["ttamer/pool"] for one in (cpu, gpu)] == ["rack", "cards"]
    assert "nodeSelector" not in cpu["spec"] | gpu["spec"]
    limits = [one["spec"]["containers"][0]["resources"]["limits"] for one in (cpu, gpu)]
    assert [limit.get("nvidia.com/gpu") for limit in limits] == [None, "1"]


def test_pools_of_one_device_are_told_apart_by_the_labels_of_their_nodes(plan: Plan) -> None:
    mixed = fleet(plan, Pool(name="rack", price=0.04), Pool(name="spot", price=0.01))
    assert [one["spec"]["nodeSelector"] for one in pods(mixed)] == [{"ttamer/pool": "rack"}, {"ttamer/pool": "spot"}]
    files = EXPORTERS["kubernetes"](mixed, ORIGIN)
    assert b"kubectl label node NODE ttamer/pool=rack" in files[0][1]
    for _, content in files:
        assert problems(list(yaml.safe_load_all(content))) == []
