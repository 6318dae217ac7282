"""The plan as one YAML document, the form that every other tool can read."""

from ttamer.profiles.documents import envelope, to_yaml
from ttamer.profiles.plan import FORMAT, VERSION, Plan
from ttamer.profiles.provenance import Provenance


def export_yaml(plan: Plan, provenance: Provenance) -> list[tuple[str, bytes]]:
    """plan.yaml, which reads back as the same plan."""
    content = envelope(FORMAT, VERSION, provenance) | plan.model_dump(mode="json")
    return [("plan.yaml", to_yaml(content).encode())]
