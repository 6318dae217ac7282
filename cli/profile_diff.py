"""`ttamer profile diff`: what became slower between two profiles."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ttamer.cli import render
from ttamer.cli.options import Format, FormatOption

if TYPE_CHECKING:
    from ttamer.profiles.difference import Difference

SHOWN = 20  # changes printed; the rest are counted


def run(
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="Profile by name (in profiles/) or folder.")],
    after: Annotated[str, typer.Argument(metavar="AFTER", help="Profile to compare with it.")],
    tolerance: Annotated[
        str, typer.Option(metavar="PERCENT", help="How far apart two intervals must lie to count.")
    ] = "0%",
    format: FormatOption = Format.TABLE,
) -> None:
    """Compare two profiles point by point; exit code 4 if anything is worse beyond the intervals of both.

    Points that others disturbed are shown but prove nothing. For use in CI, give a tolerance.

    Example: ttamer profile diff main branch --tolerance 5%
    """
    from ttamer.profiles.difference import difference
    from ttamer.profiles.errors import BrokenPromiseError, InputError
    from ttamer.profiles.shelf import find_profile, read_profile
    from ttamer.profiles.units import parse_fraction

    allowed = parse_fraction(tolerance, "--tolerance")
    found = difference(read_profile(find_profile(before)), read_profile(find_profile(after)), allowed)
    if not found.latency and not found.accuracy:
        raise InputError(f"{before} and {after} share no point", remedy="give two profiles of the same models")
    if format is Format.TABLE:
        _print(found, before, after)
    else:
        content = asdict(found) | {"regressions": len(found.regressions())}
        render.document(content, format)
    worse = found.regressions()
    if worse:
        raise BrokenPromiseError(
            f"{render.count(len(worse), 'point')} of {len(found.latency) + len(found.accuracy):,} became worse",
            remedy="look for what changed, or measure both again on a quiet machine",
        )


def _print(found: "Difference", before: str, after: str) -> None:
    changed = [one for one in found.latency if one.judgement in ("worse", "better")]
    changed.sort(key=lambda one: -abs(one.ratio - 1))
    rows = [
        (
            one.key.model, _part(one.key.part, one.key.exit), str(one.key.cores), str(one.key.batch),
            render.seconds(one.before_s), render.seconds(one.after_s), f"{100 * (one.ratio - 1):+.1f} %",
            f"{100 * (one.low - 1):+.1f} to {100 * (one.high - 1):+.1f} %", one.judgement,
        )
        for one in changed[:SHOWN]
    ]  # fmt: skip
    columns = ("model", "part", "cores", "batch", before, after, "change", "interval", "judged")
    if rows:
        render.table(columns, rows, title="Latency that changed", spare=("interval",))
    for change in found.accuracy:
        if change.judgement != "same":
            print(
                f"{change.model} exit {change.exit} on {change.dataset} {change.split}: "
                f"{render.percent(change.before, 2)} -> {render.percent(change.after, 2)} ({change.judgement})"
            )
    counts = [
        f"{sum(one.judgement == judgement for one in found.latency):,} {judgement}"
        for judgement in ("worse", "better", "same", "doubtful")
    ]
    print(f"{render.count(len(found.latency), 'point')}: {', '.join(counts)}")
    if len(changed) > SHOWN:
        render.say(f"{len(changed) - SHOWN:,} more changed; --format json has all")
    for what, keys in (("only before", found.gone), ("only after", found.new)):
        if keys:
            render.say(f"{render.count(len(keys), 'point')} {what}")
    if not found.is_same_machine:
        render.say("the two were measured on different machines")


def _part(part: str, exit: int) -> str:
    return part if part == "whole" else f"{part} {exit}"
