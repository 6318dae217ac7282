"""A FrugalML folder: several prediction services on one data set, each a stage of a cascade, cheapest first.

meta.csv names the services, their price and the number of classes; Model7_Confidence.txt, Model7_PredictedLabel.txt and
Model7_TrueLabel.txt hold a number a line. Vendors scale confidence differently and give no other class's score, so that
each stage needs its own calibration.

Source: lchen001/FrugalML (Apache-2.0). Axes: N samples, K services.
"""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ttamer.exits.record_importers.imported import Imported, as_classes, as_numbers
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import Floats


class Service(NamedTuple):
    """A prediction service: its number in file names, its name, and its price per 10,000 items."""

    number: str
    name: str
    price: float


def read_frugalml(path: Path) -> Imported:
    """The records of all services in a folder, ordered by price. Raises InputError where files do not match."""
    offers = services(path)
    found = [one.number for one in offers]
    confidence_NK = _stacked([as_numbers(*_lines(path, index, "Confidence")) for index in found], path)
    prediction = [as_classes(*_lines(path, index, "PredictedLabel")) for index in found]
    label = [as_classes(*_lines(path, index, "TrueLabel")) for index in found]
    label_NK = _stacked(label, path)
    if (label_NK != label_NK[:, :1]).any():
        raise InputError(f"{path}: the services were asked about different labels", remedy="fetch the folder again")
    return Imported(
        model=f"frugalml-{path.name.lower()}",
        dataset=path.name.lower(),
        label_N=np.asarray(label_NK[:, 0]).astype(np.int64),
        prediction_NK=_stacked(prediction, path).astype(np.int64),
        confidence_NK=confidence_NK,
        exits=tuple(one.name for one in offers),
        separate=True,
        price_K=tuple(one.price for one in offers),
    )


def prices(path: Path) -> list[tuple[str, float]]:
    """The services' numbers with their price per 10,000 items, cheapest first. Raises InputError without meta.csv."""
    return [(one.number, one.price) for one in services(path)]


def services(path: Path) -> list[Service]:
    """The services in meta.csv, cheapest first. Raises InputError without it."""
    meta = path / "meta.csv"
    try:
        with meta.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row][1:]
        found = [Service(row[0].strip(), row[1].strip(), float(row[2])) for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, IndexError) as error:
        raise InputError(f"{meta} cannot be read: {error}", remedy="give a FrugalML folder") from None
    if not found:
        raise InputError(f"{meta} names no service", remedy="give a FrugalML folder")
    return sorted(found, key=lambda service: service.price)


def _lines(path: Path, index: str, what: str) -> tuple[list[str], str]:
    file = path / f"Model{index}_{what}.txt"
    try:
        return file.read_text(encoding="utf-8").split(), str(file)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def _stacked(columns: list[Floats] | list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]], path: Path) -> Floats:
    lengths = sorted({len(column) for column in columns})
    if len(lengths) != 1 or not lengths[0]:
        raise InputError(f"{path}: services answered {lengths} samples", remedy="every file needs one line a sample")
    return np.stack([np.asarray(column, dtype=np.float64) for column in columns], axis=1)
