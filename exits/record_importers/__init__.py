"""Readers of exit records that others wrote, by the name of their layout. A new one is a file here and a line below."""

from collections.abc import Callable
from pathlib import Path

from ttamer.exits.record_importers.apparate_npz import read_apparate_npz
from ttamer.exits.record_importers.cascade_csv import read_cascade_csv
from ttamer.exits.record_importers.frugalml import read_frugalml
from ttamer.exits.record_importers.imported import Imported
from ttamer.exits.record_importers.long_csv import read_long_csv
from ttamer.exits.record_importers.wide_csv import read_wide_csv

IMPORTERS: dict[str, Callable[[Path], Imported]] = {
    "long-csv": read_long_csv,
    "wide-csv": read_wide_csv,
    "cascade-csv": read_cascade_csv,
    "frugalml": read_frugalml,
    "apparate-npz": read_apparate_npz,
}
