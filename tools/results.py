"""Put what a benchmark printed into its block of RESULTS.md.

Run: python -m benchmarks.NAME | python tools/results.py NAME
"""

import re
import sys
from pathlib import Path

RESULTS = Path(__file__).resolve().parent.parent / "RESULTS.md"


def main() -> None:
    name, printed = sys.argv[1], sys.stdin.read().strip()
    block = re.compile(rf"(<!-- {re.escape(name)} -->\n```(?:text|console)\n)(.*?)(```\n)", re.DOTALL)
    text = RESULTS.read_text()
    found = block.search(text)
    assert found, f"RESULTS.md has no block {name}"
    assert printed, "nothing was printed"
    lines = "\n".join(line.rstrip() for line in printed.splitlines())
    RESULTS.write_text(f"{text[: found.start(2)]}{lines}\n{text[found.end(2) :]}")


if __name__ == "__main__":
    main()
