"""The house: which room may import which, what files may be called, how long they may grow."""

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

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


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names a file imports; `from a import b` counts as a and as a.b."""
    names: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name(path)} imports relatively"
            names |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return frozenset(names)


def tops(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imported(path)}


def lies_in(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def offenders(breaches_of: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """What every file is guilty of, by its name; files that are not are left out."""
    found = {name(path): sorted(breaches_of(path)) for path in FILES}
    return {file: breaches for file, breaches in found.items() if breaches}


def test_there_are_files_in_every_room() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)
    assert len(FILES) > 300


def test_a_room_imports_only_what_lies_downhill() -> None:
    def uphill(path: Path) -> set[str]:
        room = room_of(path)
        ours = {module for module in imported(path) if module.split(".")[0] == "ttamer" and module != "ttamer"}
        parents = {".".join(allowed.split(".")[:n]) for allowed in ALLOWED[room] for n in (2, 3)}
        allowed = {package for package in ALLOWED[room] if package != "ttamer"}
        above = {module for module in ours if not lies_in(module, allowed) and module not in parents}
        return above - {"ttamer.__version__", "ttamer.__file__"}

    assert offenders(uphill) == {}


def test_a_room_keeps_foreign_libraries_out() -> None:
    def foreign(path: Path) -> set[str]:
        forbidden = set(FORBIDDEN_IMPORTS[room_of(path)])
        if name(path).startswith(NUMPY_ONLY):
            forbidden |= {*TORCH, "pandas", "sklearn", "scipy"}
        return tops(path) & forbidden

    assert offenders(foreign) == {}


def test_rooms_are_imported_through_the_package_alone() -> None:
    # `profiling` is also a standard package from Python 3.15 on, and a bare `import profiles`
    # would make a second copy of every class.
    assert offenders(lambda path: tops(path) & set(ROOMS)) == {}


def loaded_with(path: Path) -> set[str]:
    """The files that importing this one imports first, but for the packages it lies in."""
    dotted = {module.removeprefix("ttamer.").replace(".", "/") for module in imported_at_once(path)}
    packages = {"/".join(place.split("/")[:n]) for place in dotted for n in range(1, place.count("/") + 2)}
    files = {f"{place}.py" for place in dotted} | {f"{place}/__init__.py" for place in packages}
    own = {f"{parent}/__init__.py" for parent in Path(name(path)).parents}
    return (files & {name(one) for one in FILES}) - own


def imported_at_once(path: Path) -> set[str]:
    found: set[str] = set()
    for node in tree_of(path).body:
        if isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_every_file_can_be_imported_first() -> None:
    TopologicalSorter({name(path): loaded_with(path) for path in FILES}).prepare()


def test_a_file_has_a_noun_and_fits_on_a_few_screens() -> None:
    assert not [name(path) for path in FILES if path.stem in NO_ROOM]
    lines = {name(path): len(path.read_text().splitlines()) for path in FILES}
    assert not {file: length for file, length in lines.items() if length > LONGEST_FILE}


def test_only_the_command_line_prints_and_nothing_unsafe_is_called() -> None:
    def unsafe(path: Path) -> Iterator[str]:
        forbidden = {"eval", "exec"}
        if room_of(path) != "cli" and name(path) != "profiling/worker.py":  # the worker speaks on its stdout
            forbidden.add("print")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in forbidden:
                yield f"calls {node.func.id} in line {node.lineno}"
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else ""
                if caught in {"", "Exception", "BaseException"}:
                    yield f"catches {caught or 'everything'} in line {node.lineno}"
                if room_of(path) != "cli" and "TtamerError" in caught:
                    yield f"swallows TtamerError in line {node.lineno}"
        pickled = {module for module in imported(path) if module.startswith("pickle.")} - {"pickle.UnpicklingError"}
        yield from (f"imports {module}" for module in pickled)

    assert offenders(unsafe) == {}


def test_profiling_is_a_namespace_so_that_it_never_shadows_the_standard_package() -> None:
    assert not (ROOT / "profiling" / "__init__.py").exists()
