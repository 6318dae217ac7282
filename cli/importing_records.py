"""`ttamer fit MODEL --import`: exit records that others wrote, in place of recording a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.comparing_records import kept_exits
from ttamer.cli.options import Format

if TYPE_CHECKING:
    from ttamer.exits.given_costs import GivenCosts
    from ttamer.exits.record_sources import RecordSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for, as typed."""

    model: str
    records: str
    costs: str | None
    exits: str | None
    seed: int


def run(wish: Wish, folder: Path, format: Format) -> None:
    """Put the records of a model on the shelf, split in three, with the costs that were given, and show them."""
    from ttamer.exits.given_costs import given_costs
    from ttamer.exits.record_profile import shelve
    from ttamer.exits.record_sources import files_of, open_records
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.shelf import profile_option

    source = open_records(wish.records, seed=wish.seed, model=wish.model, exits=kept_exits(wish.exits))
    given = given_costs(wish.costs, source)
    files = files_of(wish.records)
    provenance = capture(seed=wish.seed, inputs=files)
    shelve(folder, folder.name, source, given, file=files[0], provenance=provenance)
    if format is Format.TABLE:
        _print(source, given)
        render.say(f"wrote {folder}; next: ttamer compare --records {wish.model}{profile_option(folder)}")
    else:
        render.document({"costs": given.words, "rows": _rows(source, given)}, format)


def _rows(source: "RecordSource", given: "GivenCosts") -> list[dict[str, object]]:
    from ttamer.profiles.intervals import wilson_interval

    test = source.splits["test"]
    rows: list[dict[str, object]] = []
    for exit, name in enumerate(source.exits):
        right = int(test.correct_NK()[:, exit].sum())
        low, high = wilson_interval(right, test.samples)
        rows.append({
            "exit": exit, "name": name, "stage_s": float(given.costs.stage_s_K[exit]),
            "head_s": float(given.costs.head_s_K[exit]), "accuracy_test": right / test.samples, "test_low": low,
            "test_high": high, "agreement_test": float(test.agrees_NK()[:, exit].mean()),
        })  # fmt: skip
    return rows


def _print(source: "RecordSource", given: "GivenCosts") -> None:
    sizes = ", ".join(f"{records.samples:,} {split}" for split, records in source.splits.items())
    accuracies = source.splits["calibration"].accuracy_K()
    rows = [
        (
            str(exit), name, render.seconds(float(given.costs.stage_s_K[exit])),
            render.seconds(float(given.costs.head_s_K[exit])), *_shares(source, exit),
        )
        for exit, name in enumerate(source.exits)
    ]  # fmt: skip
    columns = ("exit", "after", "stage", "head", "test accuracy", "95 % interval", "agreement")
    layout = f", read as {source.layout}" if source.layout else ""
    render.table(columns, rows, title=f"Exits of {source.model} ({sizes}){layout}")
    print(f"Costs: {given.words}.")
    best = int(accuracies.argmax())
    if best < len(accuracies) - 1 and accuracies[best] > accuracies[-1] + 0.01:
        print(
            f"Note: exit {best} ({source.exits[best]}) is more accurate than the last one, which drops are counted "
            f"from; end there with --exits {','.join(map(str, range(best + 1)))}"
        )


def _shares(source: "RecordSource", exit: int) -> tuple[str, str, str]:
    from ttamer.profiles.intervals import wilson_interval

    test = source.splits["test"]
    right = int(test.correct_NK()[:, exit].sum())
    agreement = float(test.agrees_NK()[:, exit].mean())
    between = render.percent_between(*wilson_interval(right, test.samples))
    return render.percent(right / test.samples), between, render.percent(agreement)
