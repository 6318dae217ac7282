"""What NVML says of a GPU: its facts, its clock, why it is held back, and who else uses it.

Everything is missing where there is no NVIDIA driver or the package nvidia-ml-py (the extra `gpu`) is not installed.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Reasons that lower the clock below what was asked for. Source: NVML API, nvmlClocksEventReasons (bit masks).
HELD_BACK = {
    "sw_power_cap": 0x4, "hw_slowdown": 0x8, "sw_thermal": 0x20, "hw_thermal": 0x40, "hw_power_brake": 0x80,
}  # fmt: skip
Nvml = Any  # the module pynvml, which carries no types


@contextmanager
def nvml() -> Iterator[Nvml | None]:
    """The NVML library, ready; None where it or a driver is missing."""
    try:
        library: Nvml = importlib.import_module("pynvml")
    except ImportError:
        yield None
        return
    try:
        library.nvmlInit()
    except library.NVMLError:
        yield None
        return
    try:
        yield library
    finally:
        library.nvmlShutdown()


def read_gpu(index: int = 0) -> dict[str, float]:
    """Evidence of the GPU's state now: clock, temperature, power; whether it is held back, and other processes on it.

    Read it right after a load, while the device still runs as it did. Numbers of reasons are NVML's bits; gpu_foreign:
    processes that are not this one.
    """
    with nvml() as library:
        if library is None:
            return {}
        device = library.nvmlDeviceGetHandleByIndex(index)

        def ask(name: str, *arguments: Any) -> Any:
            return _ask(library, name, device, *arguments)

        power_mw = ask("nvmlDeviceGetPowerUsage")
        others = ask("nvmlDeviceGetComputeRunningProcesses")
        reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:  # its name before NVML 12.2
            reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        found = {
            "gpu_clock_mhz": ask("nvmlDeviceGetClockInfo", 1),  # 1: streaming multiprocessors
            "gpu_temperature_c": ask("nvmlDeviceGetTemperature", 0),  # 0: of the die
            "gpu_power_w": None if power_mw is None else power_mw / 1e3,
            "gpu_reasons": reasons,
            "gpu_throttled": None if reasons is None else float(bool(reasons & sum(HELD_BACK.values()))),
            "gpu_foreign": None if others is None else _others([one.pid for one in others]),
        }
    return {name: float(value) for name, value in found.items() if value is not None}


def read_gpu_facts() -> list[dict[str, Any]] | None:
    """What does not change of each GPU; None where NVML says nothing."""
    with nvml() as library:
        if library is None:
            return None
        driver = _text(_ask(library, "nvmlSystemGetDriverVersion"))
        count = _ask(library, "nvmlDeviceGetCount") or 0
        devices = [library.nvmlDeviceGetHandleByIndex(number) for number in range(count)]
        return [_facts(library, device) | {"driver": driver} for device in devices]


def held_back_by(reasons: int) -> tuple[str, ...]:
    """The names of the reasons in a mask that hold a GPU back.

    >>> held_back_by(0x44)
    ('sw_power_cap', 'hw_thermal')
    """
    return tuple(name for name, bit in HELD_BACK.items() if reasons & bit)


def _others(pids: Sequence[int]) -> int:
    """How many processes are not this one; a container may see itself under a number that is not its own."""
    return max(0, len(pids) - 1)


def _facts(library: Nvml, device: Any) -> dict[str, Any]:
    def ask(name: str, *arguments: Any) -> Any:
        return _ask(library, name, device, *arguments)

    memory, limit_mw, mig = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetEnforcedPowerLimit"), _mig(ask)
    return {
        "name": _text(ask("nvmlDeviceGetName")),
        "memory_bytes": None if memory is None else int(memory.total),
        "power_limit_w": None if limit_mw is None else limit_mw / 1e3,
        "clock_most_mhz": ask("nvmlDeviceGetMaxClockInfo", 1),
        "memory_clock_most_mhz": ask("nvmlDeviceGetMaxClockInfo", 2),
        "mig": mig,
    }


def _mig(ask: Callable[..., Any]) -> bool | None:
    modes = ask("nvmlDeviceGetMigMode")
    return None if modes is None else bool(modes[0])


def _ask(library: Nvml, name: str, *arguments: Any) -> Any:
    """What NVML answers; None where this version or this device does not know the question."""
    function = getattr(library, name, None)
    if function is None:
        return None
    try:
        return function(*arguments)
    except library.NVMLError:
        return None


def _text(answer: Any) -> str | None:
    return answer.decode() if isinstance(answer, bytes) else answer
