"""Link the rooms under build/types/ttamer, where static tools find them as `ttamer.planning` and so on."""

from pathlib import Path

ROOMS = ("cli", "exits", "planning", "profiles", "profiling")

root = Path(__file__).resolve().parent.parent
package = root / "build" / "types" / "ttamer"
package.mkdir(parents=True, exist_ok=True)
targets = {room: root / room for room in ROOMS}
targets |= {name: root / "ttamer" / name for name in ("__init__.py", "__main__.py", "py.typed")}
for name, target in targets.items():
    link = package / name
    if link.is_symlink():
        link.unlink()
    link.symlink_to(target)
