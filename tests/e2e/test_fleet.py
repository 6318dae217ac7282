"""Planning for several kinds of machines, fixed cores and a changing network, through the command line."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from tests.e2e.commands import ttamer
from ttamer.profiles.plan import Plan

POINTS = """device,model,accuracy,cores,batch,latency_s,throughput_rps,load_time_s,memory_bytes
cpu,resnet18,69.8%,1,1,0.030,33,1.0,200000000
cpu,resnet18,69.8%,2,1,0.017,58,1.0,200000000
cpu,resnet50,76.1%,2,1,0.045,22,1.5,400000000
cpu,resnet50,76.1%,4,1,0.026,38,1.5,400000000
cuda,resnet18,69.8%,1,1,0.004,400,4.0,900000000
cuda,resnet18,69.8%,1,16,0.012,1500,4.0,900000000
cuda,resnet50,76.1%,1,1,0.007,160,5.0,1100000000
cuda,resnet50,76.1%,1,16,0.025,800,5.0,1100000000
"""
FLEET = """slo: 100ms
rate: 300rps
pools:
  - {name: rack, cores: 12, core_hour: 0.04}
  - {name: gpu, devices: 1, device_hour: 1.10}
"""
PRICES = ("--device", "cpu,cuda", "--price", "cpu=0.04,cuda=1.10")
PLAN = ("plan", "--slo", "100ms", "--rate", "300rps", "-p", "fleet")


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with points on two devices imported as profile `fleet`."""
    monkeypatch.chdir(tmp_path)
    Path("points.csv").write_text(POINTS)
    Path("service.yaml").write_text(FLEET)
    done = ttamer("profile", "--import", "points.csv", "-p", "fleet")
    assert done.exit_code == 0, done.stderr
    return tmp_path


def made(*command: str) -> Plan:
    done = ttamer(*command)
    assert done.exit_code == 0, done.stderr
    return Plan.read(Path("plan.yaml"))


def test_pools_of_two_devices_share_a_stage_within_their_limits(fleet: Path) -> None:
    plan = made("plan", "service.yaml", "-p", "fleet")
    assert {(group.pool, group.device) for group in plan.groups} == {("rack", "cpu"), ("gpu", "cuda")}
    assert (plan.promise.devices, plan.promise.cores <= 12) == (1, True)
    assert plan.promise.cost_per_hour == pytest.approx(1.10 + 0.04 * plan.promise.cores)
    table = pq.read_table("plan.parquet")
    assert set(table.column("pool").to_pylist()) == {"rack", "gpu"}


def test_flags_alone_plan_the_same_fleet(fleet: Path) -> None:
    from_file = made("plan", "service.yaml", "-p", "fleet")
    by_flags = made(*PLAN, *PRICES, "--cores", "12", "--devices", "1")
    assert by_flags.solve.objective == pytest.approx(from_file.solve.objective)
    assert {group.pool for group in by_flags.groups} == {"cpu", "cuda"}


def test_options_narrow_the_pools_of_a_file(fleet: Path) -> None:
    assert {g.pool for g in made("plan", "service.yaml", "-p", "fleet", "--device", "cuda", "--no-mix").groups} == {
        "gpu"
    }
    cheap = made("plan", "service.yaml", "-p", "fleet", "--price", "gpu=0.0", "--objective", "cost", "--devices", "4")
    assert (cheap.promise.cores, cheap.promise.cost_per_hour) == (0, 0.0)


def test_money_and_the_floor_decide_between_the_pools(fleet: Path) -> None:
    accurate = made(*PLAN, *PRICES, "--no-mix", "--accuracy-floor", "76%", "--objective", "cost")
    assert {group.model for group in accurate.groups} == {"resnet50"}
    assert accurate.promise.devices == 1  # 1.10 an hour; 28 cores are 1.12
    cheap = made(*PLAN, *PRICES, "--no-mix", "--budget", "0.9/h", "--objective", "accuracy")
    assert (cheap.promise.devices, cheap.groups[0].model) == (0, "resnet18")
    fast = made(*PLAN, *PRICES, "--budget", "2.5/h", "--objective", "latency")
    assert fast.promise.latency_s == pytest.approx(0.004)


def test_a_fleet_is_explained_compared_swept_and_exported(fleet: Path) -> None:
    made("plan", "service.yaml", "-p", "fleet")
    explained = ttamer("explain", "plan.yaml").stdout
    assert "pool gpu" in explained
    assert "an hour" in explained
    compared = ttamer("compare", "plan.yaml")
    assert compared.exit_code == 0, compared.stderr
    swept = ttamer("plan", "service.yaml", "-p", "fleet", "--pareto", "cost")
    assert swept.exit_code == 0, swept.stderr
    assert ttamer("export", "plan.yaml", "--to", "kubernetes").exit_code == 0
    manifests = [one for path in Path("deploy").glob("*.yaml") for one in yaml.safe_load_all(path.read_text())]
    limits = [
        manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        for manifest in manifests
        if manifest["kind"] == "Deployment"
    ]
    assert [limit.get("nvidia.com/gpu") for limit in limits].count("1") == 1


def test_a_fleet_that_is_too_small_says_what_is_missing(fleet: Path) -> None:
    done = ttamer("plan", "service.yaml", "-p", "fleet", "--rate", "3000rps", "--no-mix")
    assert done.exit_code == 3
    assert "pool" in done.stderr


BAD: list[tuple[tuple[str, ...], str, str]] = [
    ((*PLAN, "--device", "gpu"), "unknown device 'gpu'", "known: cpu, cuda"),
    ((*PLAN, "--device", "cpu,cuda"), "--device cpu,cuda: cpu has no price", "--price cpu=0.04,cuda=1.10"),
    ((*PLAN, *PRICES[:2], "--price", "cpu=0.04"), "--device cpu,cuda: cuda has no price", "--price"),
    ((*PLAN, "--price", "cpu"), "--price 'cpu' is no list of prices", "cpu=0.04"),
    ((*PLAN, "--price", "gpu=1"), "unknown pool 'gpu' in --price", "known: cpu"),
    ((*PLAN, "--devices", "2"), "--devices 2 counts GPUs and the service runs on cpu", "--device cuda"),
    (("plan", "service.yaml", "-p", "fleet", "--price", "cpu=1"), "unknown pool 'cpu'", "known: gpu, rack"),
    ((*PLAN, "--network", "0.1"), "--network '0.1' has no unit", "200ms"),
    ((*PLAN, "--network", "1ms", "--network-trace", "t.csv"), "--network and --network-trace are given", "trace"),
    ((*PLAN, "--request-size", "1kB"), "--request-size belongs to a trace", "--network-trace"),
    ((*PLAN, "--time-limit", "3"), "--time-limit '3' has no unit", "200ms"),
    ((*PLAN, "--gap", "1"), "--gap '1' is not a percentage", "1%"),
    ((*PLAN, "--base-allocation", "5"), "--base-allocation '5' has no unit", "20rps"),
    ((*PLAN, "--models", "resnet18", "--network-trace", "no.csv"), "no.csv does not exist", "check the path"),
]


@pytest.mark.parametrize(("command", "says", "remedy"), BAD, ids=lambda one: one[-1] if isinstance(one, tuple) else "")
def test_what_makes_no_sense_is_one_sentence_and_a_remedy(
    fleet: Path, command: tuple[str, ...], says: str, remedy: str
) -> None:
    done = ttamer(*command)
    assert done.exit_code == 2
    assert says in done.stderr
    assert remedy in done.stderr
    assert not Path("plan.yaml").exists()


def test_a_network_time_is_taken_off_the_slo(fleet: Path) -> None:
    plan = made(*PLAN, "--network", "60ms")
    assert plan.promise.latency_s <= 0.040
    assert any("60 ms pass on the network" in note for note in plan.notes)
    assert "100 ms less 60.0 ms on the network" in ttamer(*PLAN, "--network", "60ms").stdout
    done = ttamer(*PLAN, "--network", "150ms")
    assert done.exit_code == 3
    assert "150ms on the network" in done.stderr


def test_a_base_allocation_fixes_the_cores_of_each_model(fleet: Path) -> None:
    plan = made(*PLAN, "--base-allocation", "50rps", "--models", "resnet18")
    assert {group.cores for group in plan.groups} == {2}
    assert any(note == "base allocation of serve: resnet18 2 cores" for note in plan.notes)
    done = ttamer(*PLAN, "--base-allocation", "50rps")
    assert done.exit_code == 3
    assert "no measured number of cores serves 50 rps of 'resnet50'" in done.stderr


def test_a_limit_on_time_and_gap_reach_the_solver_and_are_shown(fleet: Path) -> None:
    shown = ttamer(*PLAN, "--time-limit", "5s", "--gap", "10%")
    assert shown.exit_code == 0, shown.stderr
    assert "Gap: the objective is" in shown.stdout
    service: Any = Plan.read(Path("plan.yaml")).service
    assert (service.time_limit_s, service.gap) == (5.0, 0.1)


def test_a_trace_makes_a_schedule(fleet: Path) -> None:
    rows = [f"toy,,{c},{b},{0.03 * (0.2 + 0.8 * b / c)}" for c in (1, 2, 4, 8) for b in (1, 2, 4, 8)]
    Path("grid.csv").write_text("\n".join(["model,accuracy,cores,batch,latency_s", *rows]))
    assert ttamer("profile", "--import", "grid.csv", "-p", "grid").exit_code == 0
    Path("trace.csv").write_text("bytes_per_ms\n4000\n2000\n400\n")
    command = ("plan", "--slo", "600ms", "--rate", "20rps", "-p", "grid", "--network-trace", "trace.csv")
    done = ttamer(*command, "--request-size", "200kB", "--out", "schedule.parquet")
    assert done.exit_code == 0, done.stderr
    assert "Served: 3 of 3 seconds" in done.stdout
    table = pq.read_table("schedule.parquet").to_pylist()
    assert [row["network_s"] for row in table] == pytest.approx([0.05, 0.1, 0.5])
    assert table[2]["cores"] > table[0]["cores"]
    assert not Path("plan.yaml").exists()
    shown = yaml.safe_load(ttamer(*command, "--request-size", "200kB", "--show-config").stdout)
    assert shown["network"] == {"trace": "trace.csv", "request": "200kB"}
