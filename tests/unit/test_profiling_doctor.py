"""Doctor: every thing that spoils measurements is found in fake facts, and each finding has a remedy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ttamer.profiling.conditions import Conditions, watch
from ttamer.profiling.doctor import Finding, Patient, Software, examine

FACTS: dict[str, Any] = {
    "allowed_cpus": [0, 1],
    "cpu_quota": None,
    "governor": "performance",
    "turbo": False,
    "smt": "0",
    "physical_cores": 2,
    "thread_variables": {},
    "numa_nodes": {"node0": "0-1"},
    "gpus": None,
}
QUIET = Conditions(
    busy_share=0.01, steal_share=0.0, waiting_share=0.0, throttled_periods=0, swapped_bytes=0, free_disk_bytes=2**40
)
SOFTWARE = Software(torch="2.13.0", torchvision="0.28.0", transformers="5.0", has_operators=True, capability="AVX2")
HEALTHY = Patient(facts=FACTS, conditions=QUIET, software=SOFTWARE)


def spoiling(patient: Patient) -> list[Finding]:
    return [finding for finding in examine(patient) if finding.state == "spoils"]


def with_facts(**facts: Any) -> Patient:
    return replace(HEALTHY, facts=FACTS | facts)


def with_conditions(**seen: Any) -> Patient:
    return replace(HEALTHY, conditions=replace(QUIET, **seen))


def with_software(**versions: Any) -> Patient:
    return replace(HEALTHY, software=replace(SOFTWARE, **versions))


def test_nothing_spoils_measurements_on_a_quiet_bare_machine() -> None:
    assert spoiling(HEALTHY) == []


@pytest.mark.parametrize(
    ("patient", "topic", "remedy"),
    [
        (with_facts(cpu_quota=1.5), "CPU quota", "--cores up to 1"),
        (with_conditions(throttled_periods=3), "throttling", "raise its CPU quota"),
        (with_conditions(busy_share=0.5), "neighbours", "top"),
        (with_conditions(steal_share=0.2), "stolen time", "dedicated CPUs"),
        (with_facts(governor="powersave"), "clock", "cpupower frequency-set --governor performance"),
        (with_facts(smt="1", physical_cores=1), "hyper-threads", "--cores up to 1"),
        (with_facts(thread_variables={"KMP_AFFINITY": "compact"}), "thread variables", "unset KMP_AFFINITY"),
        (with_facts(thread_variables={"LD_PRELOAD": "libjemalloc.so.2"}), "allocator", "unset LD_PRELOAD"),
        (with_facts(numa_nodes={"node0": "0", "node1": "1"}), "memory nodes", "numactl"),
        (with_conditions(swapped_bytes=2**30), "memory", "swapoff"),
        (with_conditions(free_disk_bytes=2**20), "disk", "free 1 GiB"),
        (with_software(transformers=None), "transformers", "pip install transformers"),
        (with_facts(gpus=["H200"]), "GPU", "get-started"),
    ],
)
def test_what_spoils_measurements_is_named_with_its_remedy(patient: Patient, topic: str, remedy: str) -> None:
    (finding,) = spoiling(patient)
    assert finding.topic == topic
    assert remedy in finding.remedy


def test_a_gpu_that_torch_can_use_is_fine() -> None:
    patient = replace(with_facts(gpus=["H200"]), software=replace(SOFTWARE, cuda="13.0", sees_gpu=True))
    assert spoiling(patient) == []


def test_a_torchvision_of_another_torch_is_told_but_spoils_nothing() -> None:
    findings = examine(with_software(has_operators=False))
    assert any("built for another torch" in finding.what for finding in findings)
    assert spoiling(with_software(has_operators=False)) == []


def test_what_the_system_does_not_say_is_unknown_rather_than_fine() -> None:
    silent = Conditions(
        busy_share=None,
        steal_share=None,
        waiting_share=None,
        throttled_periods=None,
        swapped_bytes=None,
        free_disk_bytes=None,
    )
    findings = examine(Patient(facts=FACTS | {"governor": None, "smt": None}, conditions=silent, software=SOFTWARE))
    unknown = {finding.topic for finding in findings if finding.state == "unknown"}
    assert unknown == {"neighbours", "stolen time", "clock", "hyper-threads"}


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., None]:
    """Writes the pressure files of a pretended machine under tmp_path."""

    def write(*, busy: int, steal: int, idle: int, stalled_us: int) -> None:
        (tmp_path / "proc/pressure").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/stat").write_text(
            f"cpu  9 9 9 9 9 9 9 9\ncpu0 {busy} 0 0 {idle} 0 0 0 {steal}\ncpu7 5 5 5 5 5 5 5 5\n"
        )
        (tmp_path / "proc/pressure/cpu").write_text(f"some avg10=0.00 avg60=0.00 avg300=0.00 total={stalled_us}\n")
        (tmp_path / "proc/meminfo").write_text("SwapTotal: 2048 kB\nSwapFree: 1024 kB\n")

    return write


def test_two_looks_tell_how_busy_the_allowed_cpus_are(tmp_path: Path, machine: Callable[..., None]) -> None:
    machine(busy=100, steal=10, idle=1000, stalled_us=0)
    seen = watch(
        [0],
        tmp_path,
        root=tmp_path,
        watch_s=2.0,
        wait=lambda _: machine(busy=150, steal=20, idle=1140, stalled_us=500_000),
    )
    assert seen.busy_share == pytest.approx(0.25)
    assert seen.steal_share == pytest.approx(0.05)
    assert seen.waiting_share == pytest.approx(0.25)
    assert seen.swapped_bytes == 1024 * 1024


def test_a_machine_without_pressure_files_is_watched_in_silence(tmp_path: Path) -> None:
    seen = watch([0], tmp_path / "missing", root=tmp_path, wait=lambda _: None)
    assert (seen.busy_share, seen.steal_share, seen.waiting_share, seen.swapped_bytes) == (None, None, None, None)
    assert seen.free_disk_bytes
