"""The plan's replica groups as a table, a row a group, for notebooks and data frames."""

import tempfile
from pathlib import Path

from ttamer.profiles.plan import Plan, write_groups
from ttamer.profiles.provenance import Provenance


def export_parquet(plan: Plan, provenance: Provenance) -> list[tuple[str, bytes]]:
    """plan.parquet with the groups, the header in its schema's metadata."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_groups(Path(folder) / "plan.parquet", plan, provenance)
        return [(path.name, path.read_bytes())]
