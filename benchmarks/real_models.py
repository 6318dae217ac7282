"""The whole pipeline on real models and data: CIFAR ResNets on CIFAR-10, a fine-tuned MiniLM on SST-2.

Prints a transcript with the wall time of every step, as it stands in RESULTS.md.
Needs a folder with vision/ and text/ (weights, Parquet files, a Hugging Face folder).

Run: python -m benchmarks.real_models ../shared/data/real
"""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VISION = """
ttamer fit resnet20 --weights data/vision/resnet20_cifar10.safetensors --data data/vision/cifar10_jpeg.parquet --expect-accuracy 91.7% -p cifar
ttamer fit resnet20 --weights data/vision/resnet20_cifar10.safetensors --data data/vision/cifar10.parquet --expect-accuracy 91.73% -p cifar
ttamer fit resnet56 --weights data/vision/resnet56_cifar10.safetensors --data data/vision/cifar10.parquet -p cifar
ttamer profile resnet20 resnet56 -p cifar
ttamer plan --slo 25ms --rate 400rps --max-drop 1% --models resnet20 -p cifar --out resnet20.yaml
ttamer simulate resnet20.yaml --out resnet20.simulation.yaml
ttamer export resnet20.yaml --to kubernetes --out deploy-resnet20
ttamer plan --slo 50ms --rate 100rps --max-drop 1% --models resnet56 -p cifar --out resnet56.yaml
ttamer simulate resnet56.yaml --out resnet56.simulation.yaml
ttamer export resnet56.yaml --to kubernetes --out deploy-resnet56
ttamer plan --slo 50ms --rate 200rps -p cifar --out both.yaml
ttamer simulate both.yaml --out both.simulation.yaml
"""
TEXT = """
ttamer fit data/text/minilm_l6_sst2 --tokens 64 --data data/text/sst2.parquet --expect-accuracy 88.85% -p sst2
ttamer profile minilm_l6_sst2 -p sst2
ttamer plan --slo 200ms --rate 20rps --max-drop 1% -p sst2 --out minilm.yaml
ttamer simulate minilm.yaml --out minilm.simulation.yaml
ttamer export minilm.yaml --to kubernetes --out deploy-minilm
"""


def run(command: str, folder: Path) -> None:
    """Run one command and print it with what it says and how long it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "130"}
    began = time.monotonic()
    arguments = [sys.executable, "-m", *shlex.split(command)]
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    failure = done.stderr if done.returncode else ""
    print(f"$ {command}")
    print("\n".join(line.rstrip() for line in (done.stdout + failure).splitlines()))
    status = f", exit code {done.returncode}" if done.returncode else ""
    print(f"[{time.monotonic() - began:.0f} s{status}]\n", flush=True)


def main() -> None:
    """Run the steps named on the command line (`vision`, `text`), both by default."""
    data, *wanted = sys.argv[1:]
    steps = {"vision": VISION, "text": TEXT}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "data").symlink_to(Path(data).resolve())
        for name in wanted or steps:
            for command in steps[name].strip().splitlines():
                run(command, folder)


if __name__ == "__main__":
    main()
