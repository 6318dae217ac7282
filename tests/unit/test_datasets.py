"""Data sources are read, checked and divided; what cannot be used is refused with its cause."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ttamer.exits.datasets import open_source
from ttamer.exits.source import DataSource, Reading, make_source
from ttamer.exits.splits import assign_splits, given_splits
from ttamer.exits.tables import Columns
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import SPLITS


def _png(shade: int, side: int = 6) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 0, 255 - shade)).save(file, "PNG")
    return file.getvalue()


def _parquet(path: Path, **columns: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


def _sizes(source: DataSource) -> dict[str, int]:
    return {split: len(source.rows(split)) for split in SPLITS}


def _reading(labels: list, splits: list[str] | None = None) -> Reading:
    return Reading(name="things", kind="text", items=["text"] * len(labels), labels=labels, splits=splits)


def test_the_embedded_digits_are_divided_50_15_15_20() -> None:
    source = open_source("digits")
    sizes = _sizes(source)
    assert sum(sizes.values()) == 1797
    assert [round(size / 1797, 2) for size in sizes.values()] == [0.50, 0.15, 0.15, 0.20]
    assert source.image(0).shape == (8, 8, 3)
    assert source.image(0).max() == 239  # the first digit's brightest pixel is 15 of 16


def test_the_four_splits_are_disjoint_and_stratified() -> None:
    label_N = np.repeat([0, 1, 2], [500, 300, 200])
    split_N = assign_splits(label_N, None, seed=0)
    for split in SPLITS:
        shares = np.bincount(label_N[split_N == split], minlength=3) / (split_N == split).sum()
        assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.01)
    assert set(split_N) == set(SPLITS)


def test_the_division_depends_on_the_seed_alone() -> None:
    label_N = np.arange(100) % 2
    assert (assign_splits(label_N, None, seed=3) == assign_splits(label_N, None, seed=3)).all()
    assert (assign_splits(label_N, None, seed=3) != assign_splits(label_N, None, seed=4)).any()


def test_a_source_with_train_and_test_keeps_train_for_fitting_alone() -> None:
    source = make_source(_reading([0, 1] * 100, ["train"] * 120 + ["test"] * 80), seed=0)
    assert _sizes(source) == {"fit": 120, "calibration": 20, "validation": 20, "test": 40}
    assert (source.rows("fit") < 120).all()
    assert (source.own_test_N == np.arange(120, 200)).all()


def test_a_source_with_dev_has_it_halved_and_keeps_its_test() -> None:
    source = make_source(_reading([0, 1] * 100, ["train"] * 100 + ["dev"] * 40 + ["test"] * 60), seed=0)
    assert _sizes(source) == {"fit": 100, "calibration": 20, "validation": 20, "test": 60}


def test_a_source_that_names_all_four_splits_keeps_them() -> None:
    given = ["fit"] * 50 + ["calibration"] * 10 + ["validation"] * 20 + ["test"] * 20
    assert _sizes(make_source(_reading([0, 1] * 50, given), seed=0)) == {
        "fit": 50, "calibration": 10, "validation": 20, "test": 20,
    }  # fmt: skip


def test_an_unknown_split_name_is_refused() -> None:
    with pytest.raises(InputError, match="the data name an unknown split 'holdout'"):
        given_splits(np.array(["train", "holdout"], dtype=object))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "'things' holds no samples"),
        ([1, 1, 1], "'things' holds one class only"),
        ([0, None, 1], "sample 1 of 'things' has no label"),
        ([0.0, float("nan")], "sample 1 of 'things' has no label"),
        ([0, -1, 1], "label -1 of 'things' is no class"),
        ([0.0, 0.5], "label 0.5 of 'things' is no class"),
        ([0, 1, 0, 1], "4 samples leave the split"),
    ],
)
def test_unusable_labels_are_refused_with_a_remedy(labels: list, message: str) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        make_source(_reading(labels), seed=0)
    assert refusal.value.remedy


def test_caps_keep_the_class_balance_and_the_sample_numbers() -> None:
    full, capped = open_source("digits", seed=1), open_source("digits", seed=1, max_fit=100, max_held_out=50)
    assert _sizes(capped)["fit"] == pytest.approx(100, abs=5)
    assert _sizes(capped)["test"] == pytest.approx(50, abs=5)
    for split in SPLITS:
        assert set(capped.rows(split)) <= set(full.rows(split))
    assert set(capped.own_test_N) <= set(full.own_test_N)
    assert np.bincount(capped.label_N[capped.rows("fit")]).min() >= 8


def test_images_in_parquet_are_found_by_type(tmp_path: Path) -> None:
    labels = [0, 1] * 40
    location = _parquet(
        tmp_path / "shades.parquet", label=labels, name=["x"] * 80, class_=["dark"] * 80, picture=[_png(9)] * 80
    )
    source = open_source(location)
    assert (source.kind, source.name) == ("image", "shades")
    assert source.image(5).tolist()[0][0] == [9, 0, 246]
    assert source.files == (Path(location),)


def test_hugging_face_s_struct_of_bytes_and_path_is_read(tmp_path: Path) -> None:
    images = [{"bytes": _png(shade), "path": "x.png"} for shade in range(80)]
    source = open_source(_parquet(tmp_path / "hf.parquet", image=images, label=[0, 1] * 40))
    assert source.image(7)[0, 0, 0] == 7


def test_a_folder_of_parquet_files_takes_its_splits_from_their_names(tmp_path: Path) -> None:
    for split, count in (("train", 40), ("test", 60)):
        _parquet(tmp_path / f"data/{split}-00000-of-00001.parquet", text=["words"] * count, label=[0, 1] * (count // 2))
    assert _sizes(open_source(str(tmp_path)))["fit"] == 40


def test_numbered_classes_take_their_names_from_a_class_column(tmp_path: Path) -> None:
    columns = {"label": [0, 1] * 40, "class": ["cat", "dog"] * 40, "image": [_png(3)] * 80}
    source = open_source(_parquet(tmp_path / "pets.parquet", **columns))
    assert source.classes == ("cat", "dog")
    assert not source.has_named_classes


def test_texts_without_a_usual_column_are_joined_from_the_columns_of_text(tmp_path: Path) -> None:
    columns = {
        "title": ["Rain"] * 80,
        "description": ["It pours"] * 80,
        "fold": ["fit", "eval"] * 40,
        "label": [0, 0, 1, 1] * 20,
    }
    source = open_source(_parquet(tmp_path / "news.parquet", **columns))
    assert source.text(0) == "Rain. It pours"
    assert _sizes(source) == {"fit": 40, "calibration": 10, "validation": 10, "test": 20}


def test_a_csv_file_with_named_classes_is_numbered_in_order(tmp_path: Path) -> None:
    rows = [f'"a text, number {i}",{("pos", "neg")[i % 2]}' for i in range(80)]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *rows]))
    source = open_source(str(tmp_path / "reviews.csv"))
    assert source.classes == ("neg", "pos")
    assert source.label_N[:2].tolist() == [1, 0]
    assert source.text(3) == "a text, number 3"


def test_columns_can_be_named(tmp_path: Path) -> None:
    columns = {"words": ["a"] * 80, "text": ["b"] * 80, "kind": [0, 1] * 40}
    location = _parquet(tmp_path / "odd.parquet", **columns)
    assert open_source(location, columns=Columns(text="words", label="kind")).text(0) == "a"
    with pytest.raises(InputError, match=r"unknown label column 'kinds' of odd\.parquet"):
        open_source(location, columns=Columns(label="kinds"))


def test_a_folder_of_class_folders_with_splits_is_read(tmp_path: Path) -> None:
    for split, count in (("train", 10), ("test", 12)):
        for shade, name in enumerate(("dark", "light")):
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                (folder / f"{number}.png").write_bytes(_png(shade))
            (folder / "notes.txt").write_text("no image")
    source = open_source(str(tmp_path))
    assert source.classes == ("dark", "light")
    assert _sizes(source) == {"fit": 20, "calibration": 6, "validation": 6, "test": 12}
    assert source.image(int(source.rows("test")[-1]))[0, 0, 0] == 1


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no class folders with images") as refusal:
        open_source(str(tmp_path))
    assert "CLASS" in refusal.value.remedy


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    source = open_source(_parquet(tmp_path / "bad.parquet", image=[b"no image"] * 80, label=[0, 1] * 40))
    with pytest.raises(InputError, match="image 3 of 'bad' cannot be decoded"):
        source.image(3)


def test_a_table_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no label column"):
        open_source(_parquet(tmp_path / "bare.parquet", text=["a"] * 10))


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"broken\.parquet cannot be read"):
        open_source(str(tmp_path / "broken.parquet"))
    with pytest.raises(InputError, match=r"absent\.csv does not exist"):
        open_source(str(tmp_path / "absent.csv"))


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match="did you mean 'digits'"):
        open_source("digit")
