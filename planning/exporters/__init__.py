"""The targets a plan can be exported to, by name. A new one is a file in this folder and a line here.

An exporter is a function of a plan and its provenance; it returns file names and their content, and writes nothing.
"""

from collections.abc import Callable

from ttamer.planning.exporters.kubernetes import export_kubernetes
from ttamer.planning.exporters.parquet import export_parquet
from ttamer.planning.exporters.yaml import export_yaml
from ttamer.profiles.plan import Plan
from ttamer.profiles.provenance import Provenance

Exporter = Callable[[Plan, Provenance], list[tuple[str, bytes]]]

EXPORTERS: dict[str, Exporter] = {
    "yaml": export_yaml,
    "parquet": export_parquet,
    "kubernetes": export_kubernetes,
}
