"""CPU seconds of whole processes: `ttamer --help` and friends beside a bare interpreter, in one run.

The sources are compiled first, as pip does when it installs them.

Run: python benchmarks/start_up.py
"""

import compileall
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNS = 7
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "ttamer --help": ["-m", "ttamer", "--help"],
    "ttamer plan --help": ["-m", "ttamer", "plan", "--help"],
    "ttamer plan (reference profile)": [
        "-m", "ttamer", "plan", "--profile", "reference", "--slo", "200ms", "--out", "build/bench/plan.yaml",
    ],
    "ttamer export (to yaml)": ["-m", "ttamer", "export", "build/bench/plan.yaml", "--out", "build/bench/deploy"],
    "ttamer simulate (20,000 requests)": [
        "-m", "ttamer", "simulate", "build/bench/plan.yaml", "--requests", "20000", "--no-fail",
        "--out", "build/bench/simulation.yaml",
    ],
    "import torch": ["-c", "import torch"],
}  # fmt: skip


def cpu_seconds(arguments: list[str]) -> float:
    """User and system seconds of one finished child."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    for room in ("cli", "exits", "planning", "profiles", "profiling", "ttamer"):
        compileall.compile_dir(ROOT / room, quiet=2)
    print(f"{'command':36} {'median':>8} {'min':>8} {'max':>8}   CPU s of {RUNS} runs")
    for name, arguments in COMMANDS.items():
        cpu_seconds(arguments)  # files into the page cache
        times = [cpu_seconds(arguments) for _ in range(RUNS)]
        print(f"{name:36} {statistics.median(times):8.3f} {min(times):8.3f} {max(times):8.3f}")


if __name__ == "__main__":
    main()
