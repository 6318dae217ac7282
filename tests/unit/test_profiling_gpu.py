"""What NVML says of a GPU, told by a stand-in; and by a real one where there is one."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from ttamer.profiling.gpu import held_back_by, nvml, read_gpu, read_gpu_facts
from ttamer.profiling.verdicts import judge


class FakeError(Exception):
    """What NVML raises."""


def fake(**answers: Any) -> SimpleNamespace:
    """The library with one device that gives these answers, and knows no other questions."""

    def answering(value: Any) -> Any:
        def answer(*arguments: Any) -> Any:
            if isinstance(value, Exception):
                raise value
            return value

        return answer

    known = {"nvmlInit": None, "nvmlShutdown": None, "nvmlDeviceGetHandleByIndex": "device", "nvmlDeviceGetCount": 1}
    return SimpleNamespace(NVMLError=FakeError, **{name: answering(value) for name, value in (known | answers).items()})


RUNNING = {
    "nvmlDeviceGetClockInfo": 1965,
    "nvmlDeviceGetTemperature": 61,
    "nvmlDeviceGetPowerUsage": 350_000,
    "nvmlDeviceGetCurrentClocksEventReasons": 0x1,  # idle: no reason to distrust
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4711)],
}


def test_a_gpu_that_runs_freely_is_read_and_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake(**RUNNING))
    evidence = read_gpu()
    assert evidence == {
        "gpu_clock_mhz": 1965.0, "gpu_temperature_c": 61.0, "gpu_power_w": 350.0, "gpu_reasons": 1.0,
        "gpu_throttled": 0.0, "gpu_foreign": 0.0,
    }  # fmt: skip
    assert judge({"error": 0.01} | evidence) == "ok"


@pytest.mark.parametrize(("reasons", "names"), [(0x4, ("sw_power_cap",)), (0x48, ("hw_slowdown", "hw_thermal"))])
def test_a_gpu_that_is_held_back_is_throttled(
    monkeypatch: pytest.MonkeyPatch, reasons: int, names: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", fake(**RUNNING | {"nvmlDeviceGetCurrentClocksEventReasons": reasons}))
    assert held_back_by(reasons) == names
    assert judge({"error": 0.01} | read_gpu()) == "throttled"


def test_a_gpu_that_others_use_is_contended(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=1), SimpleNamespace(pid=2)]}
    monkeypatch.setitem(sys.modules, "pynvml", fake(**RUNNING | others))
    assert judge({"error": 0.01} | read_gpu()) == "contended"


def test_questions_that_a_device_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"nvmlDeviceGetClockInfo": FakeError(), "nvmlDeviceGetCurrentClocksThrottleReasons": 0x20}
    monkeypatch.setitem(sys.modules, "pynvml", fake(**old))
    assert read_gpu() == {"gpu_reasons": 32.0, "gpu_throttled": 1.0}


def test_facts_of_a_gpu_are_none_where_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {
        "nvmlSystemGetDriverVersion": b"570.1",
        "nvmlDeviceGetName": "Example GPU",
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=2**30),
        "nvmlDeviceGetMigMode": [1, 1],
    }
    monkeypatch.setitem(sys.modules, "pynvml", fake(**known))
    assert read_gpu_facts() == [
        {
            "name": "Example GPU", "memory_bytes": 2**30, "power_limit_w": None, "clock_most_mhz": None,
            "memory_clock_most_mhz": None, "mig": True, "driver": "570.1",
        }
    ]  # fmt: skip


def test_nothing_is_said_without_the_package_or_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert (read_gpu(), read_gpu_facts()) == ({}, None)
    monkeypatch.setitem(sys.modules, "pynvml", fake(nvmlInit=FakeError()))
    assert (read_gpu(), read_gpu_facts()) == ({}, None)


def test_a_real_gpu_says_its_clock_and_whether_it_is_held_back() -> None:
    with nvml() as library:
        if library is None:
            pytest.skip("needs an NVIDIA GPU and the package nvidia-ml-py")
    evidence = read_gpu()
    assert evidence["gpu_clock_mhz"] > 0
    assert evidence["gpu_throttled"] in (0.0, 1.0)
    facts = read_gpu_facts()
    assert facts is not None
    assert facts[0]["name"]
