"""Kubernetes manifests: for every replica group a Deployment, a Service and its exit policy in a ConfigMap.

Requests equal limits in whole CPUs (Guaranteed QoS, so that the static CPU manager can pin them), the OpenMP pool is as
large as the CPUs, and the allocator keeps its memory, because that is how the group was measured. In-place resizing is
allowed for CPU; a server must then set its thread count anew, since OpenMP does not.

Source: the API reference of apps/v1 and v1; container resize policies are stable since Kubernetes 1.35.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ttamer.planning.exporters.kubernetes_rules import problems
from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiles.documents import to_yaml
from ttamer.profiles.plan import Group, Plan
from ttamer.profiles.provenance import Provenance
from ttamer.profiles.service import Service

HEADROOM = 1.25  # of the measured peak memory: the server around the model was not measured
MIB = 2**20
LONGEST_NAME = 63 - len("-policy")  # labels and service names end at 63 characters, ConfigMaps carry a suffix
MOUNT = "/etc/ttamer"
PORT = 8000
POOL = "ttamer/pool"  # of pods; of nodes too where pools share a device: kubectl label node NODE ttamer/pool=NAME


def export_kubernetes(plan: Plan, provenance: Provenance) -> list[tuple[str, bytes]]:
    """A file for each replica group, ready for `kubectl apply -f`; its container image has to be provided."""
    files = []
    for group, name in zip(plan.groups, group_names(plan.groups), strict=True):
        manifests = _manifests(plan, group, name, provenance)
        wrong = problems(manifests)
        assert not wrong, f"invalid manifests for {group.policy}: {wrong}"
        text = _heading(group, plan.service) + "---\n".join(to_yaml(manifest) for manifest in manifests)
        files.append((f"{name}.yaml", text.encode()))
    return files


def group_names(groups: Sequence[Group]) -> list[str]:
    """A valid and distinct object name for each group.

    Lower-case letters, digits and dashes, a letter first (RFC 1035, which Services ask for); a long name is cut and
    keeps a digest of the whole.
    """
    taken: set[str] = set()
    names = []
    for group in groups:
        full = f"{group.policy}-b{group.batch}-{'g' if group.device == 'cuda' else 'c'}{group.cores}"
        name = re.sub(r"[^a-z0-9]+", "-", full.lower()).strip("-")
        name = name if name[:1].isalpha() else f"m-{name}".strip("-")
        if len(name) > LONGEST_NAME or name in taken:
            digest = hashlib.sha256(f"{group.stage} {full} {len(taken)}".encode()).hexdigest()[:8]
            name = f"{name[: LONGEST_NAME - 9].strip('-')}-{digest}"
        taken.add(name)
        names.append(name)
    return names


def _heading(group: Group, service: Service) -> str:
    nodes = f"# Label the nodes of its pool: kubectl label node NODE {POOL}={_label(group.pool)}\n"
    return (
        f"# {group.model}: {group.replicas} replicas for {100 * group.share:.4g} % of the load of {group.stage!r}.\n"
        f"# Provide the image: a server that takes these arguments and reads {MOUNT}/policy.yaml.\n"
        + (nodes if _placed(group, service) else "")
    )


def _manifests(plan: Plan, group: Group, name: str, provenance: Provenance) -> list[dict[str, Any]]:
    policy = to_yaml(plan.policies[group.policy].model_dump(mode="json"))
    labels = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": _label(group.stage),
        "app.kubernetes.io/managed-by": "ttamer",
        "app.kubernetes.io/version": _label(provenance.ttamer),
        **({POOL: _label(group.pool)} if plan.service.pools else {}),
    }
    selector = {"app.kubernetes.io/name": name}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-policy", "labels": labels},
        "data": {"policy.yaml": policy},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, "annotations": _annotations(plan, group)},
        "spec": {
            "replicas": group.replicas,
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"ttamer/policy-sha256": hashlib.sha256(policy.encode()).hexdigest()},
                },
                "spec": _pod(group, name, _label(provenance.ttamer)) | _placed(group, plan.service),
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels, "annotations": {"ttamer/load-share": f"{group.share:.6g}"}},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    return [config, deployment, service]


def _annotations(plan: Plan, group: Group) -> dict[str, str]:
    return {
        "ttamer/load-share": f"{group.share:.6g}",
        "ttamer/rate-rps": f"{group.rate_rps:.6g}",
        "ttamer/promised-latency-s": f"{group.latency_s:.6g}",
        "ttamer/quantile": f"{plan.service.quantile:g}",
        "ttamer/profile-digest": plan.profile.digest,
    }


def _pod(group: Group, name: str, version: str) -> dict[str, Any]:
    container = {
        "name": "server",
        "image": f"ttamer-server:{version}",
        "args": [
            "serve",
            *("--model", group.model),
            *("--policy", f"{MOUNT}/policy.yaml"),
            *("--device", group.device),
            *("--batch", str(group.batch)),
            *("--batch-timeout", f"{1e6 * group.batch_timeout_s:.0f}us"),
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": value} for name, value in _environment(group).items()],
        "resources": {"requests": _resources(group), "limits": _resources(group)},
        "resizePolicy": [
            {"resourceName": "cpu", "restartPolicy": "NotRequired"},
            *([{"resourceName": "memory", "restartPolicy": "RestartContainer"}] if group.memory_bytes else []),
        ],
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": "http"},
            "initialDelaySeconds": math.ceil(group.load_time_s),
            "periodSeconds": 5,
        },
        "volumeMounts": [{"name": "policy", "mountPath": MOUNT, "readOnly": True}],
    }
    return {"containers": [container], "volumes": [{"name": "policy", "configMap": {"name": f"{name}-policy"}}]}


def _environment(group: Group) -> Mapping[str, str]:
    return {"OMP_NUM_THREADS": str(group.cores), **KEEP_MEMORY}


def _placed(group: Group, service: Service) -> dict[str, Any]:
    """Nodes of the group's pool, where its device alone does not tell them: another pool has the same."""
    alike = [pool for pool in service.pools if pool.device == group.device]
    return {"nodeSelector": {POOL: _label(group.pool)}} if len(alike) > 1 else {}


def _resources(group: Group) -> Mapping[str, str]:
    """CPUs and memory of a replica; on GPUs its cores are devices, each fed by one CPU."""
    resources = {"cpu": str(group.cores)}
    if group.memory_bytes:
        resources["memory"] = f"{math.ceil(HEADROOM * group.memory_bytes / MIB)}Mi"
    if group.device == "cuda":
        resources["nvidia.com/gpu"] = str(group.cores)
    return resources


def _label(text: str) -> str:
    """The text as a label value: at most 63 characters, alphanumeric at both ends."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:63].strip("._-")
