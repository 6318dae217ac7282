"""What speaks for a plan's exit policies, a line or two each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ttamer.cli import render

if TYPE_CHECKING:
    from ttamer.profiles.plan import Assurance, Evidence, Plan, PolicySpec, Seen

FAILS = {
    "disagreement": "answers otherwise than the last exit",
    "harm": "is wrong where the last exit is right",
    "error": "is wrong",
}


def evidence_lines(plan: "Plan") -> Iterator[str]:
    """For each policy that was chosen on records: what it did on those, what on test records, what is guaranteed."""
    for name, one in plan.evidence.items():
        yield f"Evidence: {name}, {_chosen(plan.policies[name], one)}"
        yield (
            "  no test records to report on" if one.test is None else f"  {_tested(one.test, one, plan.policies[name])}"
        )
    if plan.service.risk is not None:
        yield from (f"Guarantee: {name} {_guaranteed(spec.assurance)}" for name, spec in plan.policies.items())


def _chosen(spec: "PolicySpec", one: "Evidence") -> str:
    seen = one.validation
    on = f"{render.percent(seen.accuracy)} on {seen.samples:,} validation samples"
    if not one.fitted_samples:
        return on
    return f"the choice among {spec.settings:,} settings fitted on {one.fitted_samples:,} samples: {on}"


def _tested(test: "Seen", one: "Evidence", spec: "PolicySpec") -> str:
    interval = render.percent_between(test.accuracy_low, test.accuracy_high)
    text = f"{render.percent(test.accuracy)} ({interval}) on {test.samples:,} test samples"
    if spec.kind == "last-exit":
        return f"{text}, {render.seconds(test.mean_s)} alone"
    alone = f"{render.seconds(test.mean_s)} alone in place of {render.seconds(one.last_exit_s)}"
    return f"{text}, {_against(test)}, {alone}"


def _against(test: "Seen") -> str:
    """Accuracy against the last exit's in points, with the interval of what is gained or lost."""
    more = test.drop < 0
    low, high = (-test.drop_high, -test.drop_low) if more else (test.drop_low, test.drop_high)
    interval = f"({_points(low)} to {_points(high)})"
    return f"{_points(abs(test.drop))} points {'more' if more else 'less'} than the last exit {interval}"


def _points(fraction: float) -> str:
    """A fraction in percentage points, without the sign of a zero.

    >>> _points(-0.0001), _points(0.0123)
    ('0.0', '1.2')
    """
    return f"{round(100 * fraction, 1) + 0.0:.1f}"


def _guaranteed(assurance: "Assurance | None") -> str:
    if assurance is None:
        return "is the last exit, which never disagrees with itself"
    return (
        f"{FAILS[assurance.risk_of]} for at most {render.percent(assurance.bound, 2)} of requests like the records, "
        f"{100 * assurance.confidence:.4g} % sure ({assurance.failures} of {assurance.samples:,} samples did)"
    )
