from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords


def records(N: int = 4, K: int = 2) -> ExitRecords:
    return ExitRecords(
        model="m", dataset="d", split="test", sample_N=np.arange(N), label_N=np.arange(N) % 2,
        prediction_NK=np.arange(N * K).reshape(N, K) % 2, confidence_NK=np.full((N, K), 0.75),
        margin_NK=np.full((N, K), 0.5), entropy_NK=np.full((N, K), 0.25),
    )  # fmt: skip


def test_records_are_read_as_written(tmp_path: Path) -> None:
    written = records()
    written.write(tmp_path / "r.parquet")
    read = ExitRecords.read(tmp_path / "r.parquet")
    assert (read.model, read.dataset, read.split) == ("m", "d", "test")
    for name in ("sample_N", "label_N", "prediction_NK", "confidence_NK", "margin_NK", "entropy_NK"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))


def test_accuracy_is_against_the_label_and_agreement_against_the_last_exit() -> None:
    r = records()  # exit 0 answers 0, exit 1 answers 1; labels alternate
    np.testing.assert_array_equal(r.accuracy_K(), [0.5, 0.5])
    np.testing.assert_array_equal(r.agrees_NK(), [[False, True]] * 4)


def test_nan_wrong_shapes_and_repeated_samples_are_refused_by_name() -> None:
    r = records()
    with pytest.raises(InputError, match="confidence_NK holds NaN"):
        replace(r, confidence_NK=np.full((4, 2), np.nan))
    with pytest.raises(InputError, match=r"margin_NK has shape \(4, 3\), expected \(4, 2\)"):
        replace(r, margin_NK=np.zeros((4, 3)))
    with pytest.raises(InputError, match="hold a sample twice"):
        replace(r, sample_N=np.zeros(4, int))
    with pytest.raises(InputError, match="unknown split"):
        replace(r, split="dev")
    with pytest.raises(InputError, match="are empty"):
        replace(r, prediction_NK=np.zeros((0, 2), int))


def test_records_without_margin_and_entropy_are_read_as_written_and_are_other_records(tmp_path: Path) -> None:
    bare = replace(records(), margin_NK=None, entropy_NK=None)
    bare.write(tmp_path / "r.parquet")
    read = ExitRecords.read(tmp_path / "r.parquet")
    assert read.margin_NK is None
    assert read.entropy_NK is None
    assert read.digest() == bare.digest() != records().digest()
