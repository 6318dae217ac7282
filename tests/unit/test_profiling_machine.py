"""Machine facts, read from made-up /proc and /sys trees."""

from pathlib import Path

import pytest

from ttamer.profiles.allocation import KEEP_MEMORY
from ttamer.profiles.errors import InputError
from ttamer.profiles.profile import Machine
from ttamer.profiling.cgroups import read_cpu_quota, read_cpu_stat, read_cpuset, read_memory_limit_bytes, whole_cpus
from ttamer.profiling.machine import STABLE, allowed_cpus, parse_cpu_list, read_machine, siblings_of
from ttamer.profiling.placement import PLACEMENTS, place_on_cpu, place_on_cuda, require_device

CPU = (
    "processor\t: {n}\nmodel name\t: Example 9000\nflags\t\t: fpu avx2 avx512_bf16 hypervisor\nmicrocode\t: 0x7\n"
    "cpu MHz\t\t: 2500.5\nphysical id\t: 0\ncore id\t\t: {core}\n\n"
)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two cores with two hardware threads each, and everything a machine can say."""
    return write(
        tmp_path,
        {
            "proc/cpuinfo": "".join(CPU.format(n=n, core=n // 2) for n in range(4)),
            "proc/meminfo": "MemTotal:       16300000 kB\nMemFree: 1 kB\n",
            "proc/sys/kernel/osrelease": "6.1.0\n",
            "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t Example GPU\nIRQ: 4\n",
            "proc/self/cgroup": "0::/box\n",
            "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
            "sys/fs/cgroup/box/cpu.stat": "nr_periods 10\nnr_throttled 3\n",
            "sys/fs/cgroup/box/cpuset.cpus.effective": "0-3\n",
            "sys/fs/cgroup/box/memory.max": "1073741824\n",
            "sys/devices/system/cpu/cpu0/cache/index0/level": "1",
            "sys/devices/system/cpu/cpu0/cache/index0/type": "Data",
            "sys/devices/system/cpu/cpu0/cache/index0/size": "32K",
            "sys/devices/system/cpu/cpu0/cache/index0/shared_cpu_list": "0-1\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "3500000\n",
            "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
            "etc/os-release": 'NAME="Example"\nPRETTY_NAME="Example Linux 12"\n',
            ".dockerenv": "",
            **{f"sys/devices/system/cpu/cpu{n}/topology/physical_package_id": "0\n" for n in range(4)},
            **{f"sys/devices/system/cpu/cpu{n}/topology/core_id": f"{n // 2}\n" for n in range(4)},
            "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0-1\n",
            "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
            "sys/devices/system/node/node0/cpulist": "0-3\n",
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        },
    )


def machine_in(root: Path, **environment: str) -> Machine:
    return read_machine(root=root, environment=environment, allowed=lambda: (0, 1, 2, 3))


def test_every_fact_is_read_where_the_system_gives_it(root: Path) -> None:
    facts = machine_in(root, OMP_NUM_THREADS="3", HOME="/home/user").facts
    assert facts == {
        "cpu": "Example 9000",
        "instructions": ["avx2", "avx512_bf16"],
        "microcode": "0x7",
        "virtual": True,
        "logical_cores": 4,
        "physical_cores": 2,
        "topology": {"sockets": 1, "cores": 2, "threads": 4},
        "memory_bytes": 16_300_000 * 1024,
        "memory_gib": 16,
        "gpus": ["Example GPU"],
        "gpu_facts": None,
        "allowed_cpus": [0, 1, 2, 3],
        "cpu_quota": 1.5,
        "cpuset": "0-3",
        "memory_limit_bytes": 2**30,
        "caches": {"L1 data": "32K"},
        "cache_sharing": {"L1 data": "0-1"},
        "numa_nodes": {"node0": "0-3"},
        "smt": None,
        "governor": "performance",
        "turbo": False,
        "mhz": {"most": 3500.0, "now": 2500.5},
        "clock_source": "tsc",
        "huge_pages": "madvise",
        "kernel": "6.1.0",
        "system": "Example Linux 12",
        "container": "docker",
        "libc": None,
        "thread_variables": {"OMP_NUM_THREADS": "3"},
        "allocator": dict(KEEP_MEMORY),
    }


def test_what_an_empty_system_does_not_say_is_none(tmp_path: Path) -> None:
    facts = dict(machine_in(tmp_path).facts)
    assert facts.pop("allowed_cpus") == [0, 1, 2, 3]
    assert facts.pop("thread_variables") == {}
    assert facts.pop("allocator") == KEEP_MEMORY
    assert set(facts.values()) == {None}


def test_the_fingerprint_stays_when_only_the_policy_changes(root: Path) -> None:
    before = machine_in(root)
    write(root, {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave", "proc/self/cgroup": ""})
    write(root, {"proc/meminfo": "MemTotal:       16299900 kB\n"})  # a kernel update takes a few pages more
    assert machine_in(root, MKL_NUM_THREADS="1").fingerprint == before.fingerprint


def test_the_fingerprint_changes_with_the_processor(root: Path) -> None:
    before = machine_in(root)
    write(root, {"proc/cpuinfo": CPU.format(n=0, core=0)})
    assert machine_in(root).fingerprint != before.fingerprint


def test_this_machine_can_be_read() -> None:
    machine = read_machine(environment={})
    assert len(machine.fingerprint) == 12
    assert set(STABLE) <= set(machine.facts)
    assert machine.facts["allowed_cpus"] == list(allowed_cpus())


def test_the_tightest_group_above_gives_the_quota(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "50000 100000",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000",
        },
    )
    assert read_cpu_quota(tmp_path) == 0.5


def test_version_1_groups_are_read_too(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpuset:/\n1:cpu,cpuacct:/box\n0::/\n",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/box/cpu.stat": "nr_throttled 8\nnr_periods 9",
            "sys/fs/cgroup/cpuset/cpuset.cpus": "2-5",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert read_cpu_quota(tmp_path) == 2.5
    assert read_cpu_stat(tmp_path)["nr_throttled"] == 8
    assert read_cpuset(tmp_path) == "2-5"
    assert read_memory_limit_bytes(tmp_path) is None


def test_an_unlimited_group_has_no_quota(tmp_path: Path) -> None:
    write(tmp_path, {"proc/self/cgroup": "1:cpu:/\n", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"})
    assert read_cpu_quota(tmp_path) is None
    assert whole_cpus(None) == float("inf")
    assert (whole_cpus(0.5), whole_cpus(2.9)) == (1, 2)


def test_cpu_lists_are_read_as_the_kernel_writes_them(root: Path) -> None:
    assert parse_cpu_list("0-2,8,10-11") == (0, 1, 2, 8, 10, 11)
    assert siblings_of(0, root) == (0, 1)
    assert siblings_of(3, root) == (3,)


def facts(allowed: list[int], quota: float | None = None) -> Machine:
    return Machine(fingerprint="f", facts={"allowed_cpus": allowed, "cpu_quota": quota})


def test_cores_are_physical_ones_first_and_cpu_0_the_last() -> None:
    def paired(cpu: int) -> tuple[int, ...]:
        return (cpu // 2 * 2, cpu // 2 * 2 + 1)

    machine = facts([0, 1, 2, 3])
    assert [place_on_cpu(cores, machine, paired).cpus for cores in (1, 2, 3, 4)] == [
        (3,),
        (1, 3),
        (1, 2, 3),
        (0, 1, 2, 3),
    ]
    assert place_on_cpu(2, machine, paired).threads == 2


@pytest.mark.parametrize(("cores", "quota", "limit"), [(3, None, 2), (2, 1.5, 1), (0, None, 2)])
def test_more_cores_than_the_process_may_use_are_refused(cores: int, quota: float | None, limit: int) -> None:
    with pytest.raises(InputError) as raised:
        place_on_cpu(cores, facts([4, 5], quota))
    assert raised.value.message == f"{cores} cores were asked for; this process may use 1 to {limit}"
    assert raised.value.remedy == f"give --cores within 1 to {limit}, or allow the process more CPUs"


def test_a_gpu_counts_devices_and_leaves_the_cpus_free() -> None:
    placement = place_on_cuda(1, facts([0, 1, 2], 2.0))
    assert placement.cpus == (0, 1, 2)
    assert placement.threads == 2
    with pytest.raises(InputError, match="a core is one device"):
        place_on_cuda(2, facts([0, 1]))


def test_an_unknown_device_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"unknown device 'gpu'.*known: cpu, cuda"):
        require_device("gpu")
    assert set(PLACEMENTS) == {"cpu", "cuda"}
