from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ttamer.profiles import documents
from ttamer.profiles.errors import DocumentError
from ttamer.profiles.provenance import Provenance, capture


def header(version: int = 1) -> dict[str, object]:
    return documents.envelope("thing", version, Provenance())


def test_a_header_is_read_as_written(tmp_path: Path) -> None:
    documents.write_yaml(tmp_path / "a.yaml", header() | {"x": [1, 2], "y": {"z": None}})
    content = documents.read_yaml(tmp_path / "a.yaml", "thing", 1)
    assert (content["x"], content["y"]) == ([1, 2], {"z": None})


def test_a_table_keeps_its_header(tmp_path: Path) -> None:
    documents.write_table(tmp_path / "t.parquet", pa.table({"a": [1]}), header() | {"name": "n"})
    table, head = documents.read_table(tmp_path / "t.parquet", "thing", 1)
    assert table.column_names == ["a"]
    assert head["name"] == "n"


def test_a_newer_version_asks_for_a_newer_ttamer(tmp_path: Path) -> None:
    documents.write_yaml(tmp_path / "a.yaml", header(version=2))
    with pytest.raises(DocumentError, match=r"has version 2 of ttamer/thing; this ttamer reads up to 1"):
        documents.read_yaml(tmp_path / "a.yaml", "thing", 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("just words", "is not a ttamer document"),
        ("a: [1", "is not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "is not valid YAML at line 1: could not determine a constructor"),
        ("a:\tb\n\tc: d", "is not valid YAML at line 1: found character .* that cannot start any token"),
        ("a: 1\nb: {x: 1}\na: 2", "is not valid YAML at line 3: the key 'a' stands there twice"),
        ("day: 2026-13-45", "is not valid YAML: month must be in 1..12"),
        ("[" * 5000, "is not valid YAML: maximum recursion depth exceeded"),
        ("format: ttamer/other\nversion: 1", "is a ttamer/other document"),
    ],
)
def test_what_is_no_such_document_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(DocumentError, match=message):
        documents.read_yaml(tmp_path / "a.yaml", "thing", 1)


def test_text_of_another_encoding_is_refused_by_its_first_byte(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("slo: ä".encode("latin-1"))
    with pytest.raises(DocumentError, match=r"a\.yaml is no text in UTF-8: byte 0xe4 at 5"):
        documents.read_yaml(tmp_path / "a.yaml", "thing", 1)


def test_a_table_whose_header_is_damaged_is_refused(tmp_path: Path) -> None:
    table = pa.table({"a": [1]}).replace_schema_metadata({b"ttamer": b"a: [b"})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DocumentError, match="is not valid YAML"):
        documents.read_table(tmp_path / "t.parquet", "thing", 1)


def named(format: str) -> dict[str, object]:
    return documents.envelope(format, 1, Provenance())


@pytest.mark.parametrize(
    ("old", "new", "is_spared"),
    [
        ("plan", "plan", False), ("simulation", "adaptation", False), ("plan", "simulation", True),
        ("simulation", "plan", True), ("profile", "plan", True),
    ],
)  # fmt: skip
def test_reports_give_way_to_reports_and_sources_to_their_own_kind(
    tmp_path: Path, old: str, new: str, is_spared: bool
) -> None:
    yaml_path, table_path = tmp_path / "a.yaml", tmp_path / "a.parquet"
    documents.write_yaml(yaml_path, named(old))
    documents.write_table(table_path, pa.table({"a": [1]}), named(old))
    for write in (
        lambda: documents.write_yaml(yaml_path, named(new)),
        lambda: documents.write_table(table_path, pa.table({"a": [2]}), named(new)),
    ):
        if is_spared:
            with pytest.raises(DocumentError, match=f"is a ttamer/{old} document, which a ttamer/{new} must not"):
                write()
        else:
            write()


def test_a_file_of_other_making_is_spared_and_a_damaged_or_empty_one_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("slo: 200ms\n")
    pq.write_table(pa.table({"a": [1]}), tmp_path / "data.parquet")
    for name in ("service.yaml", "data.parquet"):
        with pytest.raises(
            DocumentError, match=f"{name} is no ttamer document, which a ttamer/plan must not overwrite"
        ):
            documents.spare(tmp_path / name, "plan")
    (tmp_path / "empty.yaml").touch()
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    for name in ("empty.yaml", "torn.parquet", "absent.yaml"):
        documents.spare(tmp_path / name, "plan")


def test_a_missing_or_corrupt_table_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="does not exist"):
        documents.read_table(tmp_path / "none.parquet", "thing", 1)
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DocumentError, match="is not a readable Parquet file"):
        documents.read_table(tmp_path / "bad.parquet", "thing", 1)


def test_a_failed_write_leaves_the_old_document_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    documents.write_text(path, "old")

    def fail(file: object) -> None:
        raise OSError("No space left on device")

    with pytest.raises(DocumentError, match="No space left"):
        documents.write_atomically(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.yaml"]


def test_a_failed_replace_is_reported_too(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "x").touch()
    with pytest.raises(DocumentError, match="cannot be written"):
        documents.write_text(tmp_path / "folder", "text")


def test_provenance_names_versions_and_hashes(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"abc")
    found = capture(seed=3, inputs=[tmp_path / "in"])
    assert found.inputs[str(tmp_path / "in")].startswith("ba7816bf")
    assert found.libraries["numpy"]
    assert Provenance.from_dict(found.to_dict() | {"added_later": 1}) == found


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "name": st.text(),
                "ratio": st.floats(allow_nan=False, allow_infinity=False) | st.none(),
                "is_on": st.booleans(),
                "count": st.integers(-(2**62), 2**62),
                "parts": st.lists(st.floats(-1e300, 1e300), max_size=3),
            }
        ),
        max_size=4,
    )
)
def test_rows_become_a_table_of_the_same_values(rows: list[dict[str, Any]]) -> None:
    schema = pa.schema({
        "name": pa.string(), "ratio": pa.float64(), "is_on": pa.bool_(), "count": pa.int64(),
        "parts": pa.list_(pa.float64()),
    })  # fmt: skip
    assert documents.table_of(rows, schema).to_pylist() == rows
    assert documents.table_of(rows, schema).schema == schema
