"""What Kubernetes refuses and its published schemas let pass: names, quantities, selectors, references.

Source: kubernetes.io, Object Names and IDs; Labels and Selectors; Resource Management for Pods and Containers.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_RFC_1123 = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RFC_1035 = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_IMAGE = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?")


def problems(manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong with the manifests as a set, in words; empty if nothing is."""
    found = [problem for manifest in manifests for problem in _of_one(manifest)]
    return found + list(_of_references(manifests))


def _of_one(manifest: Mapping[str, Any]) -> Iterator[str]:
    kind, metadata = manifest["kind"], manifest["metadata"]
    where = f"{kind} {metadata['name']}"
    rule = _RFC_1035 if kind == "Service" else _RFC_1123
    if not rule.fullmatch(metadata["name"]):
        yield f"{where}: no valid name"
    yield from _of_labels(where, metadata)
    if kind == "Deployment":
        yield from _of_deployment(where, manifest["spec"])


def _of_labels(where: str, metadata: Mapping[str, Any]) -> Iterator[str]:
    for key, value in metadata.get("labels", {}).items():
        if not _is_key(key) or not _LABEL.fullmatch(value):
            yield f"{where}: no valid label {key}={value}"
    for key, value in metadata.get("annotations", {}).items():
        if not _is_key(key) or not isinstance(value, str):
            yield f"{where}: no valid annotation {key}={value!r}"


def _is_key(key: str) -> bool:
    prefix, _, name = key.rpartition("/")
    return bool(_LABEL.fullmatch(name)) and (not prefix or bool(_PREFIX.fullmatch(prefix)))


def _of_deployment(where: str, spec: Mapping[str, Any]) -> Iterator[str]:
    template = spec["template"]
    yield from _of_labels(where, template["metadata"])
    if not spec["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items():
        yield f"{where}: the selector does not match the pods"
    volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
    for container in template["spec"]["containers"]:
        yield from _of_container(f"{where}, container {container['name']}", container, volumes)


def _of_container(where: str, container: Mapping[str, Any], volumes: set[str]) -> Iterator[str]:
    if not _IMAGE.fullmatch(container["image"]):
        yield f"{where}: no valid image {container['image']!r}"
    requests, limits = container["resources"]["requests"], container["resources"]["limits"]
    if requests != limits:
        yield f"{where}: requests {requests} differ from limits {limits}"
    for resource, quantity in limits.items():
        if not isinstance(quantity, str) or not _QUANTITY.fullmatch(quantity):
            yield f"{where}: no valid quantity {resource}={quantity!r}"
    if not limits.get("cpu", "").isdigit() or int(limits["cpu"]) < 1:
        yield f"{where}: {limits.get('cpu')!r} are no whole CPUs"
    for policy in container.get("resizePolicy", []):
        if policy["restartPolicy"] not in ("NotRequired", "RestartContainer") or policy["resourceName"] not in limits:
            yield f"{where}: no valid resize policy {policy}"
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"{where}: mounts the unknown volume {mount['name']!r}"
    for port in container["ports"]:
        if not 1 <= port["containerPort"] <= 65535 or len(port["name"]) > 15:
            yield f"{where}: no valid port {port}"


def _of_references(manifests: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    names = [(manifest["kind"], manifest["metadata"]["name"]) for manifest in manifests]
    for twice in sorted({name for name in names if names.count(name) > 1}):
        yield f"{twice[0]} {twice[1]}: there twice"
    deployments = [manifest for manifest in manifests if manifest["kind"] == "Deployment"]
    for deployment in deployments:
        for volume in deployment["spec"]["template"]["spec"].get("volumes", []):
            if ("ConfigMap", volume["configMap"]["name"]) not in names:
                yield f"Deployment {deployment['metadata']['name']}: no ConfigMap {volume['configMap']['name']}"
    pods = [deployment["spec"]["template"] for deployment in deployments]
    for service in (manifest for manifest in manifests if manifest["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        matched = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        if len(matched) != 1:
            yield f"Service {service['metadata']['name']}: selects {len(matched)} Deployments, not one"
            continue
        ports = {port["name"] for container in matched[0]["spec"]["containers"] for port in container["ports"]}
        for port in service["spec"]["ports"]:
            if port["targetPort"] not in ports:
                yield f"Service {service['metadata']['name']}: no port {port['targetPort']!r} in its pods"
