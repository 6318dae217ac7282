"""Write the published measurements of IPA, InfAdapter and Sponge as CSV files that `ttamer profile --import` reads.

    python tools/peer_csv.py PEERS OUT

PEERS holds the papers' numbers in neutral form (ipa_pipelines.json, ipa_profiles_long.csv, ipa_optimizer_points.csv,
ipa_p99_batch1_8cores.csv, infadapter_capacity.csv, infadapter_variants.csv, sponge_profile_grids.csv,
bandwidth_4g_bus0001.csv). For each of IPA's five pipelines, for InfAdapter's ResNets and Sponge's ResNet-18 OUT
gets NAME.csv and a service file NAME.yaml, and for Sponge the bandwidth of a 4G network, second by second.

Of several measurements of one setting the numbers that IPA's optimizer ran with come first, then its final series at
the load it planned with. Where only an average was printed the latency is 1.25 times that, as the column `statistic`
says. Throughputs were measured under a limited load, so they understate what fast variants can do.
"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

COLUMNS = (
    "stage", "model", "accuracy", "cores", "batch", "latency_s", "throughput_rps", "load_time_s", "memory_bytes",
    "statistic",
)  # fmt: skip
AVERAGE_TO_TAIL = 1.25
PLANNED_LOAD_RPS = {"summarization": 10.0, "translation": 10.0, "speech-recognition": 10.0}
OTHER_LOAD_RPS = 20.0
SPONGE_GRID = "resnet18@128rps#9f638f08"
CAMPAIGN, SLO_MS = "2023-02-21", 750.0  # InfAdapter's own
Row = dict[str, Any]
Setting = tuple[str, str, int, int]


def main() -> None:
    """Write every file."""
    peers, out = (Path(argument) for argument in sys.argv[1:3])
    out.mkdir(parents=True, exist_ok=True)
    for pipeline in json.loads((peers / "ipa_pipelines.json").read_text()):
        name = str(pipeline["pipeline"])
        write_csv(out / f"{name}.csv", ipa_rows(peers, pipeline))
        (out / f"{name}.yaml").write_text(ipa_service(pipeline))
    write_csv(out / "resnets.csv", infadapter_rows(peers))
    (out / "resnets.yaml").write_text(infadapter_service())
    write_csv(out / "sponge.csv", sponge_rows(peers))
    (out / "sponge.yaml").write_text(sponge_service())
    write_network(out / "bandwidth.csv", peers)


def write_csv(path: Path, rows: list[Row]) -> None:
    """The rows under the known columns, empty where a row says nothing."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows(rows)


def ipa_rows(peers: Path, pipeline: Mapping[str, Any]) -> list[Row]:
    """Every setting of every variant of a pipeline that was measured in full."""
    known = _ipa_points(peers)
    return [
        {"stage": stage["stage"], "model": variant["variant"], "accuracy": variant["accuracy"] / 100} | point
        for stage in pipeline["stages"]
        for variant in stage["variants"]
        for (task, name, _, _), point in sorted(known.items())
        if (task, name) == (stage["task"], variant["variant"])
    ]


def ipa_service(pipeline: Mapping[str, Any], rate: str = "10rps") -> str:
    """The pipeline as a service file, with IPA's weights."""
    weights = pipeline["weights"]
    stages = "".join(f"  - name: {stage['stage']}\n" for stage in pipeline["stages"])
    return (
        f"slo: {pipeline['sla_s']}s\nrate: {rate}\nstages:\n{stages}"
        "aggregation: product\nmix: false\n"
        f"weights: {{accuracy: {weights['alpha_product']}, cost: {weights['beta']}, batch: {weights['delta']:.6f}}}\n"
        "limits: {replicas: 1000}\n"
    )


def infadapter_rows(peers: Path) -> list[Row]:
    """Sustained rates of the five ResNets on 1 to 20 cores, answers within the SLO at p99 and batch 1."""
    variants = {row["variant"]: row for row in _read(peers / "infadapter_variants.csv")}
    return [
        {
            "model": row["variant"],
            "accuracy": variants[row["variant"]]["accuracy_top1"],
            "cores": int(row["cores"]),
            "batch": 1,
            "latency_s": float(row["p99_at_capacity_ms"] or SLO_MS) / 1e3,
            "throughput_rps": row["capacity_rps"],
            "load_time_s": variants[row["variant"]]["load_time_s"],
            "memory_bytes": round(float(variants[row["variant"]]["memory"].removesuffix("G")) * 2**30),
            "statistic": "p99",
        }
        for row in _read(peers / "infadapter_capacity.csv")
        if row["campaign"] == CAMPAIGN and float(row["slo_p99_ms"]) == SLO_MS and float(row["capacity_rps"]) > 0
    ]


def infadapter_service() -> str:
    """InfAdapter's service: 750 ms at p99, 20 cores, a fifth of each capacity left free."""
    return (
        "slo: 750ms\nrate: 60rps\nheadroom: 20%\nlimits: {cores: 20}\n"
        "weights: {accuracy: 1, cost: 0.0025, loading: 0.000117}\n"
    )


def sponge_rows(peers: Path) -> list[Row]:
    """ResNet-18 on a grid of whole cores and batches, p99 of the latency."""
    return [
        {
            "model": row["variant"],
            "accuracy": "",
            "cores": int(float(row["cores"])),
            "batch": int(float(row["batch"])),
            "latency_s": row["latency_p99_s"],
            "throughput_rps": "",
            "statistic": "p99",
        }
        for row in _read(peers / "sponge_profile_grids.csv")
        if row["grid_id"] == SPONGE_GRID and float(row["cores"]).is_integer()
    ]


def sponge_service() -> str:
    """Sponge's service: a second less what a 4G network takes of it, a tenth left free, 16 cores."""
    return (
        "slo: 1s\nrate: 20rps\nheadroom: 10%\nlimits: {cores: 16, batch: 16}\n"
        "network: {trace: bandwidth.csv, request: 284KiB}\n"
    )


def write_network(path: Path, peers: Path) -> None:
    """The bandwidth of the 4G network on a bus, a row a second."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["bytes_per_ms"])
        writer.writerows([row["bytes_per_ms"]] for row in _read(peers / "bandwidth_4g_bus0001.csv"))


def _ipa_points(peers: Path) -> dict[Setting, Row]:
    found: dict[Setting, Row] = {}
    for row in _read(peers / "ipa_optimizer_points.csv"):
        point = _point(row["cores"], row["batch"], float(row["latency_s"]), row["throughput_rps_per_replica"], "p99")
        _keep_first(found, row, point)
    measured = [row for row in _read(peers / "ipa_profiles_long.csv") if row["quality"] == "final"]
    for row in sorted(measured, key=_distance_from_plan):
        if row["cores"] and row["batch"] and (tail := _tail(row)) is not None:
            _keep_first(found, row, _point(row["cores"], row["batch"], tail[0], row["throughput_rps"], tail[1]))
    for row in _read(peers / "ipa_p99_batch1_8cores.csv"):
        _keep_first(found, row, _point(row["cores"], row["batch"], float(row["latency_p99_s"]), "", "p99"))
    return found


def _keep_first(found: dict[Setting, Row], row: Mapping[str, str], point: Row) -> None:
    found.setdefault((row["task"], row["variant"], point["cores"], point["batch"]), point)


def _point(cores: str, batch: str, latency_s: float, throughput_rps: str, statistic: str) -> Row:
    return {
        "cores": int(float(cores)), "batch": int(float(batch)), "latency_s": latency_s,
        "throughput_rps": throughput_rps, "statistic": statistic,
    }  # fmt: skip


def _distance_from_plan(row: Mapping[str, str]) -> tuple[float, float]:
    """Rows at the load that IPA planned with first, newer series before older."""
    load_rps = float(row["offered_load_rps"] or 0)
    return abs(load_rps - PLANNED_LOAD_RPS.get(row["task"], OTHER_LOAD_RPS)), -float(row["series"])


def _tail(row: Mapping[str, str]) -> tuple[float, str] | None:
    if row["latency_p99_s"]:
        return float(row["latency_p99_s"]), "p99"
    if row["latency_avg_s"]:
        return AVERAGE_TO_TAIL * float(row["latency_avg_s"]), "1.25 x average"
    return None


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    main()
