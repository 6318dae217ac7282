"""Profiles from files: what is read, what is refused, and that a refusal says where and why."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.imports import import_profile
from ttamer.profiles.profile import Profile
from ttamer.profiles.shelf import read_profile, write_profile

HEADER = "model,accuracy,cores,batch,latency_s,throughput_rps,load_time_s"
ROWS = "small,0.6,1,1,0.040,25,2.0\nsmall,0.6,1,4,0.130,30,2.0\nlarge,74%,2,1,0.090,11,5.5\n"


def imported(folder: Path, text: str, name: str = "points.csv") -> Profile:
    (folder / name).write_text(text)
    return import_profile(folder / name, "mine")


def test_a_csv_becomes_a_profile_of_summaries_without_samples(tmp_path: Path) -> None:
    profile = imported(tmp_path, f"{HEADER}\n{ROWS}")
    assert list(profile.models) == ["small", "large"]
    assert profile.latency == ()
    assert [(row.model, row.accuracy, row.source) for row in profile.accuracy] == [
        ("small", 0.6, "imported"),
        ("large", 0.74, "imported"),
    ]
    point = profile.imported_points("small", "cpu")[1]
    assert (point.batch, point.latency_s, point.quantile, point.throughput_rps) == (4, 0.130, 0.99, 30.0)
    assert profile.settings_of("small") == [("cpu", 1, 1), ("cpu", 1, 4)]
    assert profile.is_imported("large")


def test_an_imported_profile_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    profile = imported(tmp_path, f"{HEADER},stage,memory_bytes\nsmall,0.6,1,1,0.04,25,2,detect,1048576\n")
    write_profile(tmp_path / "shelf", profile)
    again = read_profile(tmp_path / "shelf")
    assert again.imported == profile.imported
    assert again.tasks() == ("detect",)
    assert again.digest(["small"]) == profile.digest(["small"])


def test_what_may_be_left_out_is_left_out(tmp_path: Path) -> None:
    profile = imported(tmp_path, "model,accuracy,cores,batch,latency_s,remark\na,,1,2,0.5,slow\n\n")
    (point,) = profile.imported
    assert (point.throughput_rps, point.load_time_s, point.memory_bytes) == (4.0, 0.0, None)
    assert profile.accuracy == ()


def test_parquet_reads_as_csv_does(tmp_path: Path) -> None:
    table = pa.table({"model": ["a"], "accuracy": [0.5], "cores": [1], "batch": [2], "latency_s": [0.5]})
    pq.write_table(table, tmp_path / "points.parquet")
    assert import_profile(tmp_path / "points.parquet", "mine").imported[0].throughput_rps == 4.0


def test_a_model_of_two_stages_is_told_apart_by_the_stage(tmp_path: Path) -> None:
    profile = imported(tmp_path, "task,model,accuracy,cores,batch,latency_s\nx,m,0.5,1,1,0.1\ny,m,0.7,1,1,0.2\n")
    assert list(profile.models) == ["m@x", "m@y"]
    assert profile.tasks() == ("x", "y")


def test_rows_of_several_devices_are_points_of_one_model(tmp_path: Path) -> None:
    text = "device,model,accuracy,cores,batch,latency_s\ncuda,m,0.5,1,1,0.1\n,m,0.5,1,1,0.2\ncpu,m,0.5,2,1,0.15\n"
    profile = imported(tmp_path, text)
    assert profile.settings_of("m") == [("cpu", 1, 1), ("cpu", 2, 1), ("cuda", 1, 1)]


def with_row(row: str) -> str:
    return f"{HEADER}\n{ROWS}{row}\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEADER, "holds no rows"),
        ("model,cores,batch,latency_s\na,1,1,1\n", "lacks the column accuracy"),
        ("model;accuracy;cores\n", "lacks the columns"),
        ("model,accuracy,cores,batch,latency_ms\na,0.5,1,1,5\n", "unknown column 'latency_ms'"),
        (f"{HEADER},acuracy\n", "unknown column 'acuracy'"),
        ("model,model,accuracy,cores,batch,latency_s\na,a,0.5,1,1,5\n", "the column 'model' twice"),
        ("stage,task,model,accuracy,cores,batch,latency_s\nx,x,a,0.5,1,1,5\n", "the column 'stage' twice"),
        (with_row("a,0.5,1,1,nan,1,1"), "line 5: latency_s 'nan' is not finite"),
        (with_row("a,0.5,1,1,inf,1,1"), "line 5: latency_s 'inf' is not finite"),
        (with_row("a,0.5,1,1,-0.1,1,1"), "line 5: latency_s '-0.1' must be above zero"),
        (with_row("a,0.5,1,1,0,1,1"), "line 5: latency_s '0' must be above zero"),
        (with_row("a,0.5,1,1,1e300,1,1"), "line 5: latency_s '1e300' lies outside"),
        (with_row("a,0.5,1,1,200ms,1,1"), "line 5: latency_s '200ms' is not a number"),
        (with_row("a,0.5,1,1,,1,1"), "line 5: latency_s is empty"),
        (with_row("a,0.5,1,1,0.1,0,1"), "line 5: throughput_rps '0' must be above zero"),
        (with_row("a,0.5,1,1,0.1,1,-1"), "line 5: load_time_s '-1' must not be negative"),
        (with_row("a,45.7,1,1,0.1,1,1"), "line 5: accuracy '45.7' lies outside 0 to 1"),
        (with_row("a,0.5,1.5,1,0.1,1,1"), "line 5: cores '1.5' must be a whole number"),
        (with_row("a,0.5,0,1,0.1,1,1"), "line 5: cores '0' must be a whole number above zero"),
        (with_row("a,0.5,1,99999999999,0.1,1,1"), "line 5: batch '99999999999' is more than"),
        (with_row(",0.5,1,1,0.1,1,1"), "line 5: model is empty"),
        (with_row("a,0.5,1,1,0.1,1"), "line 5: 6 cells under 7 columns"),
        (with_row("small,0.6,1,4,0.2,1,1"), "lines 3 and 5: 'small' at batch 4 on 1 cores stands there twice"),
        (with_row("small,0.7,1,8,0.2,1,1"), "'small' has accuracy 0.7 here and 0.6 before"),
        ("stage,model,accuracy,cores,batch,latency_s\nx,a,0.5,1,1,1\n,b,0.5,1,1,1\n", "a stage in some rows"),
        ("device,model,accuracy,cores,batch,latency_s\ngpu,a,0.5,1,1,1\n", "device 'gpu' is no device"),
        (
            "device,model,accuracy,cores,batch,latency_s\ncuda,a,0.5,1,1,1\ncuda,a,0.5,1,1,2\n",
            "'a' at batch 1 on 1 devices stands there twice",
        ),
    ],
)
def test_a_bad_file_is_refused_with_the_place_and_the_reason(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        imported(tmp_path, text)
    assert said in caught.value.message
    assert caught.value.remedy


def test_a_nearly_known_column_names_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'latency_s'"):
        imported(tmp_path, "model,accuracy,cores,batch,latency_ms\n")


@pytest.mark.parametrize("name", ["points.csv", "points.parquet"])
def test_files_that_are_none_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="does not exist"):
        import_profile(tmp_path / name, "mine")
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR1\x00")
    with pytest.raises(InputError, match="is not a readable"):
        import_profile(tmp_path / name, "mine")
