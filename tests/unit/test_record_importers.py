"""Records that others wrote: every layout is read as it stands, and what is not in it is not made up."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ttamer.exits.record_importers
from ttamer.exits.record_importers import IMPORTERS
from ttamer.exits.record_importers.frugalml import prices
from ttamer.exits.record_importers.imported import Imported, all_records, split_records, with_exits
from ttamer.exits.record_sources import recognized
from ttamer.profiles.errors import InputError


def long_csv(folder: Path) -> Path:
    path = folder / "long.csv"
    rows = ["1,1,0.9,2,2", "0,1,0.7,1,0", "0,0,0.6,0,0", "1,0,0.4,1,2"]
    path.write_text("\n".join(["Sample_ID,Exit,Confidence,Prediction,Label", *rows]))
    return path


def wide_csv(folder: Path) -> Path:
    path = folder / "wide.csv"
    header = ",conf_branch_1,infered_class_branch_1,conf_branch_2,infered_class_branch_2,target"
    path.write_text(f"{header}\n0,0.6,0,0.7,1,0\n1,0.4,1,0.9,2,2\n")
    return path


def frugalml(folder: Path) -> Path:
    (folder / "meta.csv").write_text("Index,name,Cost,label number\n7,dear,15,3\n100,cheap,0.01,3\n")
    for index, confidence, prediction in (("7", "0.7 0.9", "1 2"), ("100", "0.6 0.4", "0 1")):
        (folder / f"Model{index}_Confidence.txt").write_text(confidence.replace(" ", "\n") + "\n")
        (folder / f"Model{index}_PredictedLabel.txt").write_text(prediction.replace(" ", "\n") + "\n")
        (folder / f"Model{index}_TrueLabel.txt").write_text("0\n2\n")
    return folder


@pytest.mark.parametrize(("layout", "write"), [("long-csv", long_csv), ("wide-csv", wide_csv), ("frugalml", frugalml)])
def test_the_same_answers_are_read_from_every_layout(
    tmp_path: Path, layout: str, write: Callable[[Path], Path]
) -> None:
    records = all_records(IMPORTERS[layout](write(tmp_path)))
    np.testing.assert_array_equal(records.label_N, [0, 2])
    np.testing.assert_array_equal(records.prediction_NK, [[0, 1], [1, 2]])
    np.testing.assert_allclose(records.confidence_NK, [[0.6, 0.7], [0.4, 0.9]])
    assert records.margin_NK is None
    assert records.entropy_NK is None


def test_every_file_of_the_folder_is_in_the_registry() -> None:
    folder = Path(ttamer.exits.record_importers.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "imported"}
    assert {read.__module__.rsplit(".", 1)[-1] for read in IMPORTERS.values()} == files


def test_services_are_ordered_by_price(tmp_path: Path) -> None:
    assert prices(frugalml(tmp_path)) == [("100", 0.01), ("7", 15.0)]


def test_services_are_models_of_their_own_with_a_name_and_a_price(tmp_path: Path) -> None:
    imported = IMPORTERS["frugalml"](frugalml(tmp_path))
    assert (imported.exits, imported.price_K, imported.separate) == (("cheap", "dear"), (0.01, 15.0), True)


def test_some_exits_are_kept_and_the_last_of_them_is_the_one_that_answers_last(tmp_path: Path) -> None:
    rows = [f"{n},{k},0.{5 + k},{k},{n % 2}" for n in range(4) for k in range(3)]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(["Sample_ID,Exit,Confidence,Prediction,Label", *rows]))
    kept = with_exits(IMPORTERS["long-csv"](path), [0, 2])
    np.testing.assert_array_equal(kept.prediction_NK, [[0, 2]] * 4)
    np.testing.assert_allclose(kept.confidence_NK, [[0.5, 0.7]] * 4)
    for exits in ([1, 0], [0, 0], [0, 3], [], [1]):
        with pytest.raises(InputError, match=r"name some of 0 to 2|one exit"):
            with_exits(IMPORTERS["long-csv"](path), exits)


@pytest.mark.parametrize(("layout", "write"), [("long-csv", long_csv), ("wide-csv", wide_csv), ("frugalml", frugalml)])
def test_a_layout_is_recognized_by_what_lies_there(tmp_path: Path, layout: str, write: Callable[[Path], Path]) -> None:
    assert recognized(write(tmp_path)) == layout


def test_two_classes_give_margin_and_entropy_away(tmp_path: Path) -> None:
    path = tmp_path / "cascade.csv"
    path.write_text("proxy_pred_true_prob,oracle_pred\n0.2,false\n0.7,false\n1.0,true\n")
    records = all_records(IMPORTERS["cascade-csv"](path))
    np.testing.assert_array_equal(records.correct_NK(), [[True, True], [False, True], [True, True]])
    np.testing.assert_allclose(records.confidence_NK, [[0.8, 1], [0.7, 1], [1, 1]])
    assert records.margin_NK is not None
    assert records.entropy_NK is not None
    np.testing.assert_allclose(records.margin_NK[:, 0], [0.6, 0.4, 1.0])
    np.testing.assert_allclose(records.entropy_NK[:, 0], [0.5004024, 0.6108643, 0.0], atol=1e-6)


def test_apparates_arrays_tell_agreement_alone(tmp_path: Path) -> None:
    path = tmp_path / "bert.npz"
    np.savez(path, conf=np.array([[0.6, 0.9], [np.nan, np.nan]]), acc=np.array([[False, True], [True, True]]))
    records = all_records(IMPORTERS["apparate-npz"](path))
    np.testing.assert_array_equal(records.agrees_NK(), [[False, True], [True, True]])
    np.testing.assert_array_equal(records.confidence_NK, [[0.6, 1.0], [0.9, 1.0]])


def test_a_file_that_says_only_what_is_right_keeps_its_accuracy(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text("conf_branch_1,correct_branch_1,conf_branch_2,correct_branch_2\n0.6,True,0.7,False\n0.8,0,0.9,1\n")
    np.testing.assert_array_equal(all_records(IMPORTERS["wide-csv"](path)).correct_NK(), [[True, False], [False, True]])


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.npz"
    np.savez(path, conf=np.array([[1.0], None], dtype=object), acc=np.ones((2, 1), dtype=bool))
    with pytest.raises(InputError, match="cannot be read"):
        IMPORTERS["apparate-npz"](path)


@pytest.mark.parametrize("layout", sorted(IMPORTERS))
def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path, layout: str) -> None:
    with pytest.raises(InputError, match="nowhere"):
        IMPORTERS[layout](tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Sample_ID,Exit,Confidence,Prediction\n0,0,1,1\n", "lacks the column 'Label'"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n", "holds no rows"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n0,0,0.5,1,1\n0,0,0.5,1,1\n", "has sample 0 at exit 0 twice"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n0,0,0.5,1,1\n0,1,0.5,1,0\n", "labels sample 0 in two ways"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n0,0,sure,1,1\n", "sure"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n0,0,nan,1,1\n", "NaN"),
        ("Sample_ID,Exit,Confidence,Prediction,Label\n0,0,0.5,1.5,1\n", "whole numbers"),
    ],
)
def test_what_is_wrong_with_a_long_file_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        IMPORTERS["long-csv"](path)


def test_splits_share_no_sample_and_are_the_same_for_the_same_seed() -> None:
    imported = Imported(
        model="m", dataset="d", label_N=np.arange(100) % 3, prediction_NK=np.zeros((100, 2), dtype=np.int64),
        confidence_NK=np.full((100, 2), 0.5),
    )  # fmt: skip
    splits, again, other = (split_records(imported, seed=seed) for seed in (1, 1, 2))
    assert {split: records.samples for split, records in splits.items()} == {
        "calibration": 40, "validation": 30, "test": 30,
    }  # fmt: skip
    numbers = np.concatenate([records.sample_N for records in splits.values()])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(100))
    assert [records.digest() for records in splits.values()] == [records.digest() for records in again.values()]
    assert splits["test"].digest() != other["test"].digest()
    with pytest.raises(InputError, match="sum to 1"):
        split_records(imported, seed=1, shares={"test": 0.5})


@pytest.mark.parametrize(
    ("layout", "place", "samples", "accuracy"),
    [
        ("frugalml", "licensed/frugalml/FERPLUS", 6358, (0.651, 0.684, 0.814, 0.677)),
        ("frugalml", "licensed/frugalml/IMDB", 25000, (0.693, 0.791, 0.865, 0.516)),
        ("frugalml", "licensed/frugalml/YELP", 20000, (0.745, 0.869, 0.957, 0.514)),
        ("frugalml", "licensed/frugalml/AUDIOMNIST", 30000, (0.922, 0.983, 0.986, 0.885)),
        ("long-csv", "no_licence_stated/div290_bert12_sst2dev/df.csv", 872,
         (0.509, 0.791, 0.818, 0.857, 0.870, 0.873, 0.880, 0.886, 0.891, 0.898, 0.906, 0.903)),
        ("cascade-csv", "licensed/streaming_model_cascades/IMDB_50000.csv", 50000, (0.448, 1.0)),
        ("cascade-csv", "licensed/streaming_model_cascades/ARXIV_56180.csv", 56181, (0.919, 1.0)),
        ("cascade-csv", "licensed/streaming_model_cascades/BOOLQ_P0_12697.csv", 12697, (0.742, 1.0)),
        ("cascade-csv", "licensed/streaming_model_cascades/SST2_68221.csv", 68221, (0.852, 1.0)),
        ("cascade-csv", "licensed/streaming_model_cascades/MMLU_5K.csv", 5000, (0.749, 1.0)),
    ],
)  # fmt: skip
def test_published_records_have_their_known_accuracy(
    shared: Path, layout: str, place: str, samples: int, accuracy: tuple[float, ...]
) -> None:
    path = shared / "data" / "exits" / place
    if not path.exists():
        pytest.skip(f"needs {path}")
    records = all_records(IMPORTERS[layout](path))
    assert records.samples == samples
    assert records.accuracy_K() == pytest.approx(accuracy, abs=6e-4)
