"""Every exit policy on every real set of records: what saves most time where at most 1 % of accuracy may be lost.

Prints a table, a row a set. Each set is split at random several times into what policies are fitted on, chosen by and
reported on; the numbers are means over the splits, of the values and of the ends of their intervals (95 %, resampled).

baseline: the published rule that saves most of those that lose at most the allowed drop on average, picked by hindsight
on test. chosen: what the choosing rule picks before test, mixtures included. lead: what the choice saves more, paired.
oracle: leaves at the first right exit, which no server knows. rps: how much more a server answers that stops where the
answer leaves. All settings, of baselines too, are chosen by the same rule.

Costs: BERT-12 as published (0.622 ms a layer, 0.106 ms a head); the services of FrugalML by their prices, without those
that are dearer and less accurate than another; the two language models of a cascade by their sizes (8 to 70).

Run: python -m benchmarks.records ../shared/data/exits [PROFILE[@MODEL] ...]
A PROFILE is a folder with records and measured times (ttamer fit, ttamer profile): of all its models, or of one model or
cascade (profiles/cifar@resnet20:resnet56). It has two rows: split as for the fit, and all its samples split anew.
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when numpy is imported

import argparse
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ttamer.exits.careful_choice import CAUTION
from ttamer.exits.comparison_document import Found, Measure, RecordComparison
from ttamer.exits.costs import ExitCosts
from ttamer.exits.given_costs import given_costs
from ttamer.exits.record_comparison import CHOSEN, compare_policies
from ttamer.exits.record_importers.imported import Imported, split_records
from ttamer.exits.record_sources import JUDGING, of_imported, read_imported
from ttamer.planning.exit_choice import measured_costs, read_records
from ttamer.planning.model_choice import has_records
from ttamer.profiles.records import ExitRecords
from ttamer.profiles.shelf import read_profile

BERT = "no_licence_stated/div290_bert12_sst2dev/df.csv"
SERVICES = ("FERPLUS", "IMDB", "YELP", "AUDIOMNIST")
CASCADES = ("SST2_68221", "IMDB_50000", "ARXIV_56180", "BOOLQ_P0_12697", "MMLU_5K")
BASELINES = (
    "last-exit", "fixed-exit", "confidence-threshold", "per-exit-thresholds", "entropy", "patience", "most-confident",
    "budgeted-batch", "apparate",
)  # fmt: skip
COLUMNS = (
    f"{'set':24}{'samples':>8}{'exits':>6}  {'baseline':21}{'saves':>7}{'loses':>8}   {'chosen saves':22}{'loses':24}"
    f"{'lead':22}{'rps':>7}{'oracle':>8}  {'mostly':30}"
)


@dataclass(frozen=True, slots=True)
class RecordSet:
    """Records to split in several ways, or split already, and what their exits cost."""

    name: str
    splits: Sequence[Mapping[str, ExitRecords]]
    costs: ExitCosts


def bert(folder: Path, seeds: Sequence[int]) -> Iterator[RecordSet]:
    """BERT-base with twelve exits on SST-2."""
    if (folder / BERT).is_file():
        imported = read_imported(str(folder / BERT), model="bert12")
        yield imported_set("BERT-12 SST-2", imported, "long-csv", "0.622ms+0.106ms", seeds)


def services(folder: Path, seeds: Sequence[int]) -> Iterator[RecordSet]:
    """Prediction services in order of price."""
    for name in SERVICES:
        place = folder / "licensed" / "frugalml" / name
        if place.is_dir():
            worth = worth_asking(read_imported(str(place)))
            yield imported_set(f"{name} services", read_imported(str(place), exits=worth), "frugalml", "prices", seeds)


def cascades(folder: Path, seeds: Sequence[int]) -> Iterator[RecordSet]:
    """A small and a large language model, the large one's answer being the truth."""
    for name in CASCADES:
        place = folder / "licensed" / "streaming_model_cascades" / f"{name}.csv"
        if place.is_file():
            title = f"{name.partition('_')[0]} 8B to 70B"
            yield imported_set(title, read_imported(str(place)), "cascade-csv", "8ms,70ms", seeds)


def worth_asking(imported: Imported) -> list[int]:
    """The services, in order of price, that are more accurate than every cheaper one on the first fit's records."""
    accuracy_K = split_records(imported, seed=0)["calibration"].accuracy_K()
    return [k for k in range(len(accuracy_K)) if k == 0 or accuracy_K[k] > accuracy_K[:k].max()]


def imported_set(name: str, imported: Imported, layout: str, costs: str, seeds: Sequence[int]) -> RecordSet:
    """The set of what was imported, split anew for every seed."""
    sources = [of_imported(imported, layout, seed=seed) for seed in seeds]
    return RecordSet(name, [source.splits for source in sources], given_costs(costs, sources[0]).costs)


def profiled(place: str, seeds: Sequence[int]) -> Iterator[RecordSet]:
    """Models of a profile that have records and measured times: as they were split for the fit, and split anew."""
    folder, _, model = place.partition("@")
    profile = read_profile(Path(folder))
    for name in (model,) if model else profile.models:
        devices = [setting[0] for setting in profile.settings_of(name)]
        if devices and (model or has_records(profile, name)):
            splits = {split: read_records(profile, name, split) for split in JUDGING}
            title = f"{name} {splits['test'].dataset}"
            costs = measured_costs(profile, name, devices[0])
            yield RecordSet(title, [splits], costs)
            yield RecordSet(f"  {len(seeds)} splits of it", [dealt_anew(splits, seed) for seed in seeds], costs)


def dealt_anew(splits: Mapping[str, ExitRecords], seed: int) -> dict[str, ExitRecords]:
    """The samples of all splits, dealt out at random to splits of the same sizes. Temperatures stay as they were fitted."""
    everything = joined(list(splits.values()))
    order_N = np.random.default_rng(seed).permutation(everything.samples)
    ends = np.cumsum([records.samples for records in splits.values()])
    dealt = np.split(order_N, ends[:-1])
    return {name: replace(everything.taken(row_M), split=name) for name, row_M in zip(splits, dealt, strict=True)}


def joined(some: Sequence[ExitRecords]) -> ExitRecords:
    """All samples of several records of one model."""
    known = [one.arrays() for one in some]
    return replace(some[0], **{name: np.concatenate([arrays[name] for arrays in known]) for name in known[0]})


def best_baseline(comparisons: Sequence[RecordComparison], max_drop: float) -> str:
    """The baseline that saves most on average among those that lose no more than allowed on average."""
    saved: dict[str, float] = {}
    for name in BASELINES:
        of_splits = found(comparisons, name)
        if mean([one.drop for one in of_splits]).value <= max_drop:
            saved[name] = mean([one.saved for one in of_splits]).value
    return max(saved, key=lambda name: saved[name])


def mean(measures: Sequence[Measure | None]) -> Measure:
    """The mean of the values and of the ends of their intervals."""
    known = [one for one in measures if one is not None]
    value, low, high = (statistics.mean(getattr(one, part) for one in known) for part in ("value", "low", "high"))
    return Measure(value=value, low=low, high=high)


def found(comparisons: Sequence[RecordComparison], policy: str) -> list[Found]:
    """What a policy does on the test samples of every split; where none of its settings may be chosen, the last exit."""
    rows = [comparison.row(policy).found or comparison.row("last-exit").found for comparison in comparisons]
    return [one for one in rows if one is not None]


def contents(comparisons: Sequence[RecordComparison]) -> str:
    """What is chosen most often: a kind, or the two kinds of a mixture."""
    specs = [comparison.row(CHOSEN).spec for comparison in comparisons]
    kinds = [
        " + ".join(dict.fromkeys(spec.params[part]["kind"] for part in ("first", "second")))
        if spec.kind == "mixture"
        else spec.kind
        for spec in specs
        if spec is not None
    ]
    return Counter(kinds).most_common(1)[0][0]


def share(value: float) -> str:
    return f"{round(100 * value, 1) + 0.0:.1f}"  # never -0.0


def between(measure: Measure) -> str:
    return f"{share(measure.value)} ({share(measure.low)} to {share(measure.high)})"


def report(records: RecordSet, max_drop: float, caution: float) -> bool:
    """Print the row of a set; whether the choice saves no less than the best baseline, within the interval."""
    comparisons = [
        compare_policies(splits, records.costs, max_drop=max_drop, seed=seed, caution=caution)
        for seed, splits in enumerate(records.splits)
    ]
    baseline, first = best_baseline(comparisons, max_drop), comparisons[0]
    rival, chosen, oracle = (found(comparisons, name) for name in (baseline, CHOSEN, "oracle-first-correct"))
    lead = mean([one.behind for one in rival])
    print(
        f"{records.name:24}{sum(first.samples.values()):>8,}{first.exits:>6}  {baseline:21}"
        f"{share(mean([one.saved for one in rival]).value):>7}{share(mean([one.drop for one in rival]).value):>8}   "
        f"{between(mean([one.saved for one in chosen])):22}{between(mean([one.drop for one in chosen])):24}"
        f"{between(lead):22}{100 * mean([one.throughput for one in chosen]).value:>+7.0f}"
        f"{share(mean([one.saved for one in oracle]).value):>8}  {contents(comparisons):30}".rstrip(),
        flush=True,
    )
    return lead.high >= 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exits", type=Path, help="the folder exits/ of the shared data")
    parser.add_argument("profiles", nargs="*", help="profile folders with records and measured times, @MODEL for one")
    parser.add_argument("--max-drop", type=float, default=0.01)
    parser.add_argument("--caution", type=float, default=CAUTION, help="standard errors added to every loss")
    parser.add_argument("--splits", type=int, default=10)
    given = parser.parse_args()
    seeds = range(given.splits)
    print(
        f"at most {100 * given.max_drop:g} % of accuracy lost against the last exit, {given.caution:g} standard errors "
        f"of caution; % of the mean time, means over {given.splits} splits (profiles: the split of the fit, then new ones)"
    )
    print(COLUMNS.rstrip())
    folder, kept = given.exits, []
    for make in (bert, services, cascades):
        kept += [report(records, given.max_drop, given.caution) for records in make(folder, seeds)]
    for profile in given.profiles:
        kept += [report(records, given.max_drop, given.caution) for records in profiled(profile, seeds)]
    print(f"sets where the choice is worse than the best baseline by more than the interval: {kept.count(False)}")


if __name__ == "__main__":
    main()
