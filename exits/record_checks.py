"""What records must be before policies may be fitted on them, chosen by them and judged on them.

Axes: N samples, K exits.
"""

import numpy as np

from ttamer.exits.evaluate import refuse_overlap
from ttamer.profiles.errors import InputError
from ttamer.profiles.records import ExitRecords, refuse_one_class


def refuse_unusable(*splits: ExitRecords) -> None:
    """Raise InputError for one exit, one class, splits of different models or exits, and splits that share samples."""
    first = splits[0]
    for records in splits:
        what = f"the {records.split} records of {records.model!r}"
        refuse_one_exit(records.exits, what)
        if records.model != first.model or records.exits != first.exits:
            raise InputError(
                f"{what} with {records.exits} exits and the {first.split} records of {first.model!r} with "
                f"{first.exits} are not of one model",
                remedy="give splits of the same model",
            )
    refuse_one_class(np.concatenate([records.label_N for records in splits]), f"the records of {first.model!r}")
    refuse_overlap(*splits)


def refuse_one_exit(exits: int, what: str) -> None:
    """Raise InputError unless there are two exits or more."""
    if exits < 2:
        raise InputError(f"{what} have one exit: there is nothing to choose", remedy="record two exits or more")
