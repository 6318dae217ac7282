"""Controllers on one trace: `ttamer compare PLAN --trace FILE`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ttamer.cli import render
from ttamer.cli.adapting import Adaptation, choices_of, make_scene, peak_rps
from ttamer.cli.memory import available_bytes
from ttamer.cli.options import Format, names
from ttamer.cli.placing import profile_of, refuse_overwriting
from ttamer.cli.plot import Series, scatter
from ttamer.cli.progress import progress

if TYPE_CHECKING:
    from ttamer.planning.adaptation.comparing import Refusal, Scene, Trial
    from ttamer.planning.adaptation.controllers.protocol import Kind
    from ttamer.planning.simulation.conditions import Conditions
    from ttamer.profiles.plan import Plan

MARKERS = "tioswvlhrx"  # one a controller, in the order of the registry


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for."""

    adaptation: Adaptation
    controllers: str | None
    network: Path | None
    request_size: str | None
    routing: str
    seed: int


def run(plan: Path, wish: Wish, profile: str | None, out: Path | None, format: Format) -> None:
    """Print what every controller makes of the trace: misses, accuracy, cost and changes."""
    from ttamer.planning.adaptation.comparing import compare, write_trials
    from ttamer.planning.adaptation.controllers import CONTROLLERS
    from ttamer.planning.adaptation.controllers.protocol import Setup
    from ttamer.planning.simulation.conditions import ONE_BY_ONE, size_of
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture
    from ttamer.profiles.registry import lookup
    from ttamer.profiles.shelf import find_profile, read_profile

    given, adaptation = Plan.read(plan), wish.adaptation
    assert adaptation.trace is not None
    inputs = [plan, adaptation.trace[0], *([wish.network] if wish.network else [])]
    if out is not None:
        refuse_overwriting(inputs, out)
    chosen = names(wish.controllers, "--controllers", "ttamer,ipa,static") or tuple(CONTROLLERS)
    kinds = {name: lookup(CONTROLLERS, name, "controller") for name in chosen}
    choices = choices_of(adaptation)
    measured = read_profile(find_profile(profile) if profile else profile_of(given, plan))
    conditions = _conditions(wish)
    size = size_of(conditions, given.service.quantile, None, 1)
    size.check_memory(len(given.service.stages), ONE_BY_ONE, available_bytes())
    scene = make_scene(given, measured, conditions, adaptation, requests=0, seed=wish.seed)
    setup = Setup(catalog=scene.catalog, peak_rps=peak_rps(scene), load_s=scene.delays.load_s)
    with progress("comparing") as advance:
        trials, refusals = compare(
            kinds, scene, setup, choices, lambda done, total, name: advance(done, total, f"{name} is next")
        )
    provenance = capture(seed=wish.seed, inputs=inputs)
    if format is Format.TABLE:
        _print(trials, refusals, kinds, scene, given, wish)
    else:
        rows = [one.row() for one in trials]
        render.document({"rows": rows, "infeasible": {one.controller: one.reason for one in refusals}}, format)
    if out is not None:
        about = {
            "slo_s": given.service.slo_s,
            "quantile": given.service.quantile,
            "duration_s": scene.traffic.duration_s,
        }
        write_trials(out, trials, provenance, about)
        render.say(f"wrote {out}")


def _conditions(wish: Wish) -> "Conditions":
    from ttamer.cli.simulate import network_of
    from ttamer.planning.simulation.conditions import Conditions
    from ttamer.planning.simulation.traces import read_trace

    adaptation = wish.adaptation
    assert adaptation.trace is not None
    return Conditions(
        arrivals=read_trace(*adaptation.trace, adaptation.window),
        rate_scale=adaptation.scale,
        routing=wish.routing,
        network=network_of(wish.network, wish.request_size),
    )


def _print(
    trials: "list[Trial]", refusals: "list[Refusal]", kinds: "dict[str, Kind]", scene: "Scene", plan: "Plan", wish: Wish
) -> None:
    service, load_rps_T = plan.service, scene.load_rps_T
    goal = f"p{100 * service.quantile:g} <= {render.seconds(service.slo_s)}"
    assert wish.adaptation.trace is not None
    title = (
        f"Controllers for {goal} on {wish.adaptation.trace[0].name}: "
        f"{render.count(len(scene.traffic.arrival_s_N), 'request')} in {scene.traffic.duration_s:,.0f} s, "
        f"{render.rate(float(load_rps_T.mean()))} on average, {render.rate(peak_rps(scene))} at most (seed {wish.seed})"
    )
    tolerated = 1 - service.quantile
    rows = [
        (
            kinds[one.controller].title, render.seconds(one.interval_s), one.predictor, _share(one.run.misses),
            "yes" if one.run.misses <= tolerated else "no", render.seconds(one.run.latency_s(service.quantile)),
            render.percent(one.run.accuracy), f"{one.run.core_seconds:,.0f}", f"{one.mean_cores:.2f}",
            str(len(one.changes)),
        )
        for one in sorted(trials, key=lambda one: (one.run.misses > tolerated, one.run.core_seconds))
    ]  # fmt: skip
    columns = (
        "controller", "decides each", "expects by", "SLO misses", "SLO kept", f"p{100 * service.quantile:g}",
        "accuracy", "core-s", "cores", "changes",
    )  # fmt: skip
    render.table(columns, rows, title=title, spare=("decides each", "expects by", "cores"))
    for refusal in refusals:
        print(f"{kinds[refusal.controller].title} has no plan: {refusal.reason}")
    static = [kinds[one.controller].title for one in trials if one.controller == "static"]
    if static:
        print("static is provisioned for the highest second of this very trace, which nobody knows beforehand")
    if len(trials) > 1:
        print()
        print(_plot(trials, kinds))


def _plot(trials: "list[Trial]", kinds: "dict[str, Kind]") -> str:
    from ttamer.planning.adaptation.controllers import CONTROLLERS

    marker = dict(zip(CONTROLLERS, MARKERS, strict=True))
    series = [
        Series(kinds[one.controller].title, marker[one.controller], [(one.run.core_seconds, 100 * one.run.misses)])
        for one in reversed(trials)
    ]
    return scatter(series, x_label="core-s", y_label="SLO misses (%)", width=60, height=12)


def _share(value: float) -> str:
    """A percentage that does not round a small share to nothing."""
    return render.percent(value, 1 if value == 0 or value >= 0.1 else 2)
