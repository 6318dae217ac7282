"""Every exit policy on the same records, as a table and a plot: `ttamer compare --records`."""

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.options import Format
from ttamer.cli.plot import Series, scatter

if TYPE_CHECKING:
    from ttamer.exits.comparison_document import Found, Measure, RecordComparison, Row
    from ttamer.exits.given_costs import GivenCosts
    from ttamer.exits.record_sources import RecordSource
    from ttamer.profiles.plan import PolicySpec

COLUMNS = (
    "policy", "accuracy", "95 % interval", "drop", "agreement", "mean", "p50", "p99", "saved", "95 % between",
    "throughput", "recalled", "expected", "modelled",
)  # fmt: skip
SPARE = ("modelled", "agreement", "p50", "recalled", "95 % between", "95 % interval", "throughput", "expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user asked for, as typed."""

    records: str
    costs: str | None
    exits: str | None
    max_drop: str
    seed: int
    device: str


def run(wish: Wish, profile: str | None, out: Path | None, format: Format) -> None:
    """Compare the policies on a profile's model, or on records at a path, and print and write what was found."""
    from ttamer.exits.comparison_document import write_comparison
    from ttamer.exits.record_comparison import compare_policies
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.units import parse_fraction

    max_drop = parse_fraction(wish.max_drop, "--max-drop")
    source, given = _given(wish) if profile is None and _is_path(wish.records) else _measured(wish, profile)
    comparison = compare_policies(source.splits, given.costs, max_drop=max_drop, seed=wish.seed)
    if format is Format.TABLE:
        _print(comparison, given.words)
    else:
        render.document({"costs": given.words, **comparison.model_dump(mode="json")}, format)
    if out is not None:
        write_comparison(out, comparison, capture(seed=wish.seed))
        render.say(f"wrote {out}")


def kept_exits(text: str | None) -> tuple[int, ...] | None:
    """The numbers of the exits to keep, ascending; None for all. Raises InputError on what is no list of numbers."""
    from ttamer.profiles.errors import InputError

    if text is None:
        return None
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise InputError(f"--exits {text!r} is not a list of whole numbers", remedy="write it like 0,1,3") from None


def _is_path(records: str) -> bool:
    """Whether records lie at a path, `LAYOUT:` before it or not, rather than in a profile under a model's name.

    A cascade's name has colons too: `resnet20:resnet56`.
    """
    from ttamer.exits.record_importers import IMPORTERS
    from ttamer.exits.record_sources import own_records

    paths = [Path(records), Path(records.partition(":")[2] or records)]
    looks_it = records.partition(":")[0] in IMPORTERS or any(
        len(path.parts) > 1 or path.suffix in (".csv", ".npz", ".parquet") or path.exists() for path in paths
    )
    return looks_it or bool(own_records(paths[0]))


def _given(wish: Wish) -> "tuple[RecordSource, GivenCosts]":
    """Records at a path with costs that were given, or uniform ones."""
    from ttamer.exits.given_costs import given_costs
    from ttamer.exits.record_sources import open_records

    source = open_records(wish.records, seed=wish.seed, exits=kept_exits(wish.exits))
    return source, given_costs(wish.costs, source)


def _measured(wish: Wish, profile: str | None) -> "tuple[RecordSource, GivenCosts]":
    """The records of a profile's model with the costs that were measured there, unless others are given."""
    from ttamer.exits.given_costs import GivenCosts, given_costs
    from ttamer.exits.record_sources import JUDGING, RecordSource
    from ttamer.planning.exit_choice import measured_costs, read_records
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.shelf import DEFAULT_NAME, find_profile, profile_option, read_profile

    measured, model = read_profile(find_profile(profile or DEFAULT_NAME)), wish.records
    spec = measured.spec(model)
    if wish.exits is not None:
        raise InputError("--exits is for records at a path", remedy="leave it out")
    splits = {split: read_records(measured, model, split) for split in JUDGING}
    source = RecordSource(splits=splits, layout="", exits=spec.exits)
    if wish.costs is not None:
        return source, given_costs(wish.costs, source)
    settings = [setting for setting in measured.settings_of(model) if setting[0] == wish.device]
    if not settings:
        option = profile_option(measured.require_folder())
        raise InputError(
            f"{model!r} was not measured on {wish.device} with all its stages",
            remedy=f"run: ttamer profile {model}{option}, or give --costs",
        )
    words = measured.settings.get("costs", {}).get(model)
    cores = render.count(max(setting[1] for setting in settings), "core")
    return source, GivenCosts(measured_costs(measured, model, wish.device), words or f"measured at batch 1 on {cores}")


def _print(comparison: "RecordComparison", costs: str) -> None:
    order = _ordered(row for row in comparison.rows if row.found is not None)
    letters = dict(zip((row.policy for row in order), string.ascii_letters, strict=False))
    samples = comparison.samples
    title = (
        f"Exit policies of {comparison.model} on {comparison.dataset}: {samples['test']:,} test samples, "
        f"{samples['calibration']:,} to fit and {samples['validation']:,} to choose; a drop of "
        f"{render.percent(comparison.max_drop)} allowed"
    )
    rows = [_cells(row, row.found, letters[row.policy]) for row in order if row.found is not None]
    render.table(COLUMNS, rows, title=title, spare=SPARE)
    print(f"Costs: {costs}.")
    for line in _remarks(comparison):
        print(line)
    print()
    print(_plot(order, letters))


def _ordered(rows: "Iterable[Row]") -> "list[Row]":
    """Policies from slow to fast, then the choice, then the bounds."""
    roles = ("policy", "chosen", "bound")
    return sorted(rows, key=lambda row: (roles.index(row.role), -row.found.mean_s.value if row.found else 0.0))


def _cells(row: "Row", found: "Found", letter: str) -> tuple[str, ...]:
    expected, modelled = render.DASH, None
    if row.expected is not None:
        expected = f"{render.percent(row.expected.accuracy)} in {render.seconds(row.expected.mean_s)}"
        modelled = row.expected.modelled_accuracy
    return (
        f"{letter}  {row.policy}", render.percent(found.accuracy.value), _between(found.accuracy),
        render.percent(found.drop.value), render.percent(found.agreement.value), render.seconds(found.mean_s.value),
        render.seconds(found.p50_s.value), render.seconds(found.p99_s.value), render.percent(found.saved.value),
        _between(found.saved), f"{100 * found.throughput.value:+.0f} %", render.percent(found.recalled.value), expected,
        render.percent(modelled),
    )  # fmt: skip


def _between(measure: "Measure") -> str:
    return render.percent_between(measure.low, measure.high)


def _remarks(comparison: "RecordComparison") -> list[str]:
    from ttamer.exits.bootstrap import RESAMPLES
    from ttamer.exits.record_comparison import CHOSEN

    lines = []
    chosen = comparison.row(CHOSEN)
    if chosen.spec is not None and chosen.found is not None:
        lines.append(
            f"Chosen: {_content(chosen.spec)}; {_change('saves', 'takes', chosen.found.saved)} of the mean time and "
            f"{_change('loses', 'wins', chosen.found.drop)} of accuracy."
        )
    none = ", ".join(row.policy for row in comparison.rows if row.found is None)
    if none:
        lines.append(f"No setting is sure enough to lose at most {render.percent(comparison.max_drop)}: {none}.")
    return [
        *lines,
        f"A setting may be chosen if its drop, raised by {comparison.caution:g} standard errors, is allowed both where "
        "it was fitted and where it is chosen.",
        "expected: where it was chosen; modelled: what the policy's own model promised, which takes confidence at its "
        "word.",
        "throughput: of a server that stops where the answer leaves; one that runs on (release) gains none.",
        f"Intervals hold 95 % of {RESAMPLES:,} resamples of the test samples (seed {comparison.seed}).",
    ]


def _change(less: str, more: str, measure: "Measure") -> str:
    """A change with its interval, in the word for its direction."""
    if measure.value >= 0:
        return f"{less} {render.percent(measure.value)} ({_between(measure)})"
    return f"{more} {render.percent(-measure.value)} ({render.percent_between(-measure.high, -measure.low)})"


def _content(spec: "PolicySpec") -> str:
    if spec.kind != "mixture":
        return spec.kind
    share = float(spec.params["share"])
    first, second = (spec.params[part]["kind"] for part in ("first", "second"))
    other = "another setting of it" if first == second else second
    return f"{first} for {render.percent(share, 0)} of the requests, {other} for the others"


def _plot(rows: "Sequence[Row]", letters: dict[str, str]) -> str:
    series = [
        Series(row.policy, letters[row.policy], [(1e3 * row.found.mean_s.value, 100 * row.found.accuracy.value)])
        for row in rows
        if row.found is not None
    ]
    text = scatter(series, x_label="mean latency (ms)", y_label="accuracy (%); letters as in the table", width=60)
    return "\n".join(text.splitlines()[:-1])  # the table is the legend
