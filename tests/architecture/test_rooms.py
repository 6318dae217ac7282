"""The house: which room may import which, what files may be called, how long they may grow."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cli", "exits", "planning", "profiles", "profiling")
ALLOWED = {
    "profiles": {"ttamer", "ttamer.profiles"},
    "profiling": {"ttamer", "ttamer.profiles", "ttamer.profiling"},
    "exits": {"ttamer", "ttamer.profiles", "ttamer.exits"},
    # of the exits, what judges policies and needs numpy alone
    "planning": {
        "ttamer",
        "ttamer.profiles",
        "ttamer.planning",
        "ttamer.exits.policies",
        "ttamer.exits.evaluate",
        "ttamer.exits.careful_choice",
        "ttamer.exits.choosing",
        "ttamer.exits.guarantee",
    },
    "cli": {"ttamer", *(f"ttamer.{room}" for room in ROOMS)},
}
TORCH = ("torch", "torchvision", "transformers")
FORBIDDEN_IMPORTS = {
    "profiles": (*TORCH, "pulp", "highspy", "pandas", "scipy", "typer", "rich"),
    "planning": (*TORCH, "pandas", "scipy", "typer", "rich", "sklearn"),
    "profiling": ("pulp", "typer", "rich", "transformers", "torchvision"),
    "exits": ("pulp", "typer", "rich"),
    "cli": (),
}
NUMPY_ONLY = (
    "exits/policies", "exits/exploration", "exits/apparate", "exits/evaluate.py", "exits/choosing.py",
    "exits/guarantee.py", "exits/mixture.py", "exits/sweep.py",
)  # fmt: skip
NO_ROOM = {"utils", "util", "common", "helpers", "helper", "misc"}
LONGEST_FILE = 300

FILES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """Dotted names a file imports; `from a import b` counts as a and as a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def lies_in(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_room_imports_only_what_lies_downhill(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    ours = {module for module in imported(path) if module.split(".")[0] == "ttamer" and module != "ttamer"}
    parents = {".".join(allowed.split(".")[:n]) for allowed in ALLOWED[room] for n in (2, 3)}
    allowed = {package for package in ALLOWED[room] if package != "ttamer"}
    uphill = {module for module in ours if not lies_in(module, allowed) and module not in parents}
    assert not uphill - {"ttamer.__version__", "ttamer.__file__"}, f"{room} must not import {uphill}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_room_keeps_foreign_libraries_out(path: Path) -> None:
    relative = name(path)
    forbidden = FORBIDDEN_IMPORTS[path.relative_to(ROOT).parts[0]]
    if relative.startswith(NUMPY_ONLY):
        forbidden = (*forbidden, *TORCH, "pandas", "sklearn", "scipy")
    tops = {module.split(".")[0] for module in imported(path)}
    assert not tops & set(forbidden), relative


@pytest.mark.parametrize("path", FILES, ids=name)
def test_rooms_are_imported_through_the_package_alone(path: Path) -> None:
    # `profiling` is also a standard package from Python 3.15 on, and a bare `import profiles`
    # would make a second copy of every class.
    assert not {module.split(".")[0] for module in imported(path)} & set(ROOMS), name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_has_a_noun_and_fits_on_a_few_screens(path: Path) -> None:
    assert path.stem not in NO_ROOM
    assert len(path.read_text().splitlines()) <= LONGEST_FILE, name(path)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_only_the_command_line_prints_and_nothing_unsafe_is_called(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}, name(path)
            if room != "cli" and name(path) != "profiling/worker.py":  # the worker speaks on its stdout
                assert node.func.id != "print", name(path)
        if isinstance(node, ast.ExceptHandler):
            caught = ast.unparse(node.type) if node.type else ""
            assert caught not in {"", "Exception", "BaseException"}, f"{name(path)} catches {caught or 'everything'}"
            if room not in {"cli"}:
                assert "TtamerError" not in caught, f"{name(path)} swallows TtamerError"
    pickled = {module for module in imported(path) if module.startswith("pickle.")} - {"pickle.UnpicklingError"}
    assert not pickled, f"{name(path)} pickles"


def test_profiling_is_a_namespace_so_that_it_never_shadows_the_standard_package() -> None:
    assert not (ROOT / "profiling" / "__init__.py").exists()
