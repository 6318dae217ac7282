"""Traces of a network: times or bandwidths, and what is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ttamer.profiles.errors import TtamerError
from ttamer.profiles.network_trace import read_network_trace


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "size", "network_s"),
    [
        ("network_s\n0.05\n0.1\n", None, [0.05, 0.1]),
        ("network_ms,other\n50,x\n100,y\n", None, [0.05, 0.1]),
        ("bytes_per_ms\n2000\n1000\n", 100_000, [0.05, 0.1]),
        ("bytes_per_s\n2e6\n0\n", 100_000, [0.05, np.inf]),
        ("bandwidth_kbps\n8000\n", 100_000, [0.1]),
        ("bandwidth_mbps\n8\n", 100_000, [0.1]),
        ("network_s,bytes_per_s\n0.2,9\n", None, [0.2]),
    ],
)
def test_a_trace_says_what_the_network_takes(
    tmp_path: Path, text: str, size: int | None, network_s: list[float]
) -> None:
    trace = read_network_trace(written(tmp_path, text), size)
    assert trace.network_s_S == pytest.approx(network_s)
    assert trace.t_s_S.tolist() == list(range(len(network_s)))


def test_a_parquet_file_with_starts_is_read_alike(tmp_path: Path) -> None:
    pq.write_table(pa.table({"t_s": [10.0, 11.0], "network_s": [0.1, 0.2]}), tmp_path / "trace.parquet")
    trace = read_network_trace(tmp_path / "trace.parquet", None)
    assert (trace.t_s_S.tolist(), trace.network_s_S.tolist()) == ([10.0, 11.0], [0.1, 0.2])


@pytest.mark.parametrize(
    ("text", "size", "said"),
    [
        ("", None, "is empty"),
        ("network_s\n", None, "holds no rows"),
        ("bandwidth\n3\n", None, "does not say what the network takes"),
        ("bytes_per_s\n3\n", None, "how large a request is nobody says"),
        ("network_s\n0.1\n", 1000, "which a request's size says nothing about"),
        ("network_s\n0.1\n-0.1\n", None, "line 3: network_s '-0.1' must not be negative"),
        ("network_s\nnan\n", None, "line 2: network_s 'nan' is not finite"),
        ("network_s,x\n,1\n", None, "line 2: network_s is empty"),
        ("network_s\nsoon\n", None, "line 2: network_s 'soon' is not a number"),
        ("t_s,network_s\n1,0.1\n1,0.2\n", None, "line 3: t_s does not grow"),
    ],
)
def test_a_bad_trace_is_refused_with_the_reason(tmp_path: Path, text: str, size: int | None, said: str) -> None:
    with pytest.raises(TtamerError) as caught:
        read_network_trace(written(tmp_path, text), size)
    assert said in caught.value.message
    assert caught.value.remedy


def test_a_missing_trace_is_named(tmp_path: Path) -> None:
    with pytest.raises(TtamerError, match=r"nowhere\.csv does not exist"):
        read_network_trace(tmp_path / "nowhere.csv", None)
