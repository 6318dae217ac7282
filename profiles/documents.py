"""The envelope every document wears, and reading and writing documents without losing one.

Headers are YAML, tables are Parquet with the header in the schema's metadata. A write goes to a
temporary file in the same folder, is flushed to disk and renamed, so a reader sees the old
document or the new one and never half of either.
"""

import io
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ttamer.profiles.errors import DocumentError
from ttamer.profiles.provenance import Provenance

SOURCES = {"profile", "latency", "accuracy", "imported", "replicas", "exit-records", "plan", "plan-groups"}
_METADATA_KEY = b"ttamer"
_FIRST = "format: ttamer/"  # how a header begins
CREATED = "%Y-%m-%dT%H:%M:%SZ"


class _Loader(yaml.SafeLoader):
    """The safe loader, which refuses a key that stands twice in a mapping, as YAML does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key {key.value!r} stands there twice", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Block mappings, and lists of plain values on one line."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        plain = all(not isinstance(item, (dict, list, tuple)) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_text(self, data: str) -> yaml.ScalarNode:
        """Text of several lines stays readable as a literal block."""
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def envelope(format: str, version: int, provenance: Provenance) -> dict[str, Any]:
    """The head of a document: its format, version, time of creation (UTC) and provenance."""
    created = datetime.now(UTC).strftime(CREATED)
    return {"format": f"ttamer/{format}", "version": version, "created": created, "provenance": provenance.to_dict()}


def check_envelope(header: Any, format: str, version: int, path: Path) -> dict[str, Any]:
    """The header, if it is of the given format and not newer than `version`; else DocumentError."""
    if not isinstance(header, dict) or "format" not in header or not isinstance(header.get("version"), int):
        raise DocumentError(f"{path} is not a ttamer document", remedy=f"expected format ttamer/{format}")
    if header["format"] != f"ttamer/{format}":
        raise DocumentError(f"{path} is a {header['format']} document", remedy=f"give one of format ttamer/{format}")
    if header["version"] > version:
        raise DocumentError(
            f"{path} has version {header['version']} of ttamer/{format}; this ttamer reads up to {version}",
            remedy="install a newer ttamer",
        )
    return header


def to_yaml(content: Mapping[str, Any]) -> str:
    """Content as YAML text, keys in the order given."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def write_yaml(path: Path, content: Mapping[str, Any]) -> None:
    """Write a header atomically. Raises DocumentError as `spare` does."""
    spare(path, _format_in(content))
    write_text(path, to_yaml(content))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def read_yaml(path: Path, format: str, version: int) -> dict[str, Any]:
    """The content of a YAML document, its envelope checked.

    Raises DocumentError if the file is missing, unreadable, no YAML, or of another format or version.
    """
    return check_envelope(load_yaml(path), format, version, path)


def read_created(path: Path) -> datetime:
    """When a YAML document was written (UTC). Raises DocumentError if it does not say."""
    content = load_yaml(path)
    try:
        return datetime.strptime(content["created"], CREATED).replace(tzinfo=UTC)
    except (KeyError, TypeError, ValueError):
        raise DocumentError(f"{path} does not say when it was written", remedy="write it anew") from None


def load_yaml(path: Path) -> Any:
    """The content of any YAML file, by the safe loader. Raises DocumentError if there is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DocumentError(f"{path} does not exist", remedy="check the path") from None
    except UnicodeDecodeError as error:
        raise DocumentError(
            f"{path} is no text in UTF-8: byte {error.object[error.start]:#04x} at {error.start}",
            remedy="give a YAML file, saved as UTF-8",
        ) from None
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {_reason(error)}", remedy="check the path") from None
    return _parsed(text, path)


def _parsed(text: str | bytes, path: Path) -> Any:
    """What YAML says, by the safe loader."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 it is the safe loader, stricter
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-45 looks like a date
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise DocumentError(
            f"{path} is not valid YAML{where}: {problem}", remedy="restore it or write it anew"
        ) from None


def write_table(path: Path, table: pa.Table, header: Mapping[str, Any]) -> None:
    """Write a Parquet table atomically, its header in the schema's metadata. Raises DocumentError as `spare` does."""
    write_tables(path, iter([table]), header)


def write_tables(path: Path, tables: Iterator[pa.Table], header: Mapping[str, Any]) -> None:
    """Write one Parquet table from tables of the same columns, one or more of them, each made when its turn comes.

    Raises DocumentError as `spare` does.
    """
    spare(path, _format_in(header))
    first = next(tables)
    schema = first.schema.with_metadata({**(first.schema.metadata or {}), _METADATA_KEY: to_yaml(header).encode()})

    def write(file: IO[bytes]) -> None:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for table in itertools.chain([first], tables):
                writer.write_table(table.replace_schema_metadata(schema.metadata))

    write_atomically(path, write)


def load_table(path: Path) -> pa.Table:
    """The table in a Parquet file. Raises OSError or ArrowException if it cannot be read."""
    with pq.ParquetFile(path) as file:  # read_table of pyarrow imports pandas, a third of a second
        return file.read()


def table_of(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    """A table of plain rows, without NaN or infinity.

    Through JSON: given Python lists pyarrow loads pandas, if it is installed, and that takes longer than planning.
    """
    if not rows:
        return schema.empty_table()
    from pyarrow import json as arrow_json

    lines = "\n".join(json.dumps(row, allow_nan=False) for row in rows)
    options = arrow_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="error")
    return arrow_json.read_json(io.BytesIO(lines.encode()), parse_options=options).select(schema.names)


def read_table(path: Path, format: str, version: int) -> tuple[pa.Table, dict[str, Any]]:
    """A Parquet table and its header, the envelope checked. Raises DocumentError as `read_yaml` does."""
    try:
        table = load_table(path)
    except FileNotFoundError:
        raise DocumentError(f"{path} does not exist", remedy="check the path") from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise DocumentError(f"{path} is not a readable Parquet file: {reason}", remedy="write it anew") from None
    text = (table.schema.metadata or {}).get(_METADATA_KEY)
    header = _parsed(text, path) if text else None
    return table, check_envelope(header, format, version, path)


def require_columns(table: pa.Table, columns: Mapping[str, Any], path: Path) -> None:
    """Raise DocumentError unless the table has every column."""
    missing = sorted(set(columns) - set(table.column_names))
    if missing:
        raise DocumentError(f"{path} lacks the columns {', '.join(missing)}", remedy="write it anew")


def spare(path: Path, format: str) -> None:
    """Raise DocumentError if `path` is a folder, or holds what a document of this format must not replace.

    Reports replace reports. What was measured, recorded or planned gives way to its own kind alone, and files that
    ttamer did not write stay.
    """
    if path.is_dir():
        raise DocumentError(f"{path} is a folder", remedy="give the path of a file")
    found = _format_at(path)
    if found is None or found == format or (found and not {found, format} & SOURCES):
        return
    kind = f"is a ttamer/{found} document" if found else "is no ttamer document"
    raise DocumentError(
        f"{path} {kind}, which a ttamer/{format} must not overwrite", remedy="give another path, or remove that file"
    )


def _format_in(header: Mapping[str, Any]) -> str:
    """The format that a header names."""
    return str(header.get("format", "")).removeprefix("ttamer/")


def _format_at(path: Path) -> str | None:
    """The format of the document in a file; empty for a file of other making, None where nothing would be lost."""
    try:
        with path.open("rb") as file:
            head = file.read(200)
        if head.startswith(b"PAR1"):
            head = (pq.read_schema(path).metadata or {}).get(_METADATA_KEY, b"?")
    except (OSError, pa.ArrowException):
        return None
    first = head.partition(b"\n")[0].decode(errors="replace").strip()
    return first.removeprefix(_FIRST) if first.startswith(_FIRST) else ("" if head else None)


def write_atomically(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Let `write` fill a temporary file, flush it to disk and rename it to `path`."""
    with _temporary_beside(path) as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _temporary_beside(path: Path) -> Iterator[IO[bytes]]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise DocumentError(f"{path} cannot be written: {_reason(error)}", remedy="choose another folder") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError as error:
        remedy = "free some space, or choose another path"
        raise DocumentError(f"{path} cannot be written: {_reason(error)}", remedy=remedy) from None
    finally:
        Path(name).unlink(missing_ok=True)


def _reason(error: OSError) -> str:
    """Why a file cannot be written, in the system's words without the temporary names."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return "a part of its path is a file"
    return error.strerror or str(error)
