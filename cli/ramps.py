"""`ttamer simulate --adapt apparate`: exits that are tuned while they serve, beside the same models without exits."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ttamer.cli import render
from ttamer.cli.options import Format
from ttamer.cli.progress import progress

if TYPE_CHECKING:
    from ttamer.cli.adapting import Task
    from ttamer.exits.apparate.controller import Controller
    from ttamer.exits.apparate.feedback import Feedback
    from ttamer.planning.adaptation.ramps import RampChange
    from ttamer.planning.simulation.adaptive import AdaptiveRun, Setting, Traffic
    from ttamer.profiles.plan import Plan, PolicySpec
    from ttamer.profiles.profile import Profile
    from ttamer.profiles.records import ExitRecords, Ints

NAME = "apparate"
BATCH = 16  # answers from which Apparate's controller learns at a time, as its 16-sample windows
MOST_CHANGES = 10  # that are printed


@dataclass(slots=True)
class Tuner:
    """Apparate's controller, fed with rows of test records. agreeing: answers that were the full model's, of `seen`."""

    controller: "Controller"
    feedback: "Feedback"
    seen: int = 0
    agreeing: float = 0.0
    waiting: "list[int]" = field(default_factory=list)

    @property
    def ramps(self) -> list[int]:
        """Active ramps."""
        return self.controller.ramps

    @property
    def thresholds(self) -> list[float]:
        """Their thresholds."""
        return self.controller.thresholds

    def learn(self, row_M: "Ints") -> None:
        """Serve full batches of the rows; the rest waits for more."""
        import numpy as np

        self.waiting += row_M.tolist()
        while len(self.waiting) >= BATCH:
            rows, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
            served = self.controller.serve(self.feedback.rows(np.array(rows, dtype=np.int64)))
            self.seen += served.samples
            self.agreeing += served.agreement * served.samples


def run(task: "Task", stream: str, profile: "Profile", format: Format) -> None:
    """Tune the exits of the plan's models on streamed records and print what that changes."""
    from functools import partial

    from ttamer.planning.adaptation.behaviors import ProfileBook
    from ttamer.planning.adaptation.ramps import RampAdapting
    from ttamer.planning.simulation.adaptive import configuration_of
    from ttamer.planning.simulation.running import run_adaptive
    from ttamer.planning.simulation.simulate import read_records
    from ttamer.profiles.documents import envelope, write_yaml
    from ttamer.profiles.errors import InputError
    from ttamer.profiles.plan import Plan
    from ttamer.profiles.provenance import capture

    plan = Plan.read(task.plan)
    records = read_records(plan, profile)
    places = sorted({(group.stage, group.model) for group in plan.groups if group.model in records})
    if not places:
        raise InputError("no model of the plan has test records to tune exits on", remedy="run ttamer fit first")
    tuners = {place: _tuner(profile, place[1], records[place[1]], _device(plan, place[1])) for place in places}
    traffic = _streamed(task, plan, records[places[0][1]], stream)
    plain_specs = {group.policy: plan.policies[group.policy] for group in plan.groups}
    book = ProfileBook(profile=profile, policies={**plain_specs, **_whole(plan)}, records=records, releases=True)
    whole = tuple(_without_exits(setting) for setting in configuration_of(plan))
    controller = RampAdapting(
        interval_s=BATCH / (len(traffic.arrival_s_N) / traffic.duration_s),
        tuners=tuners,
        exits={model: records[model].exits for _, model in places},
        book=book,
    )
    simulated = partial(
        run_adaptive, book=book, traffic=traffic, slo_s=plan.service.slo_s, discipline=task.conditions.discipline,
        clock=task.conditions.clock, routing=task.conditions.routing, seed=task.seed,
    )  # fmt: skip
    with progress("simulating") as advance:
        before = simulated(whole, None)
        after = simulated(
            controller.begin(whole), controller, on_progress=lambda now_s, end_s: advance(now_s, end_s, "seconds")
        )
    agreement = sum(one.agreeing for one in tuners.values()) / max(1, sum(one.seen for one in tuners.values()))
    rows = [_row("without exits", before, 1.0), _row("tuned while serving", after, agreement)]
    changes = [
        {"at_s": one.at_s, "model": one.model, "ramps": list(one.ramps), "thresholds": list(one.thresholds)}
        for one in controller.changes
    ]
    content: dict[str, Any] = {"stream": stream, "rows": rows, "changes": changes}
    provenance = capture(seed=task.seed, inputs=[task.plan])
    write_yaml(task.out, envelope("ramp-adaptation", 1, provenance) | content)
    if format is Format.TABLE:
        _print(rows, controller.changes, task, stream, plan)
        render.say(f"wrote {task.out}")
    else:
        render.document(content, format)


def _tuner(profile: "Profile", model: str, stream: "ExitRecords", device: str) -> Tuner:
    """Apparate's controller for a model, its first ramps placed on calibration records."""
    from ttamer.exits.apparate.feedback import Feedback
    from ttamer.exits.apparate.latency import RampLatency, at_batch
    from ttamer.exits.apparate.placement import place_initially
    from ttamer.exits.apparate.servings import Rules
    from ttamer.planning.exit_choice import read_records
    from ttamer.planning.exit_costs import costs_by_batch

    costs = costs_by_batch(profile, model, device)
    latencies = {size: RampLatency.of_stages(one.stage_s_K, one.head_s_K) for size, one in costs.items()}
    rules = Rules(controller="language" if len(profile.spec(model).input_shape) == 1 else "vision")
    calibration = Feedback.of(read_records(profile, model, "calibration"))
    ramps = place_initially(calibration, at_batch(latencies, BATCH), rules.ramps, tail_budget=rules.tail)
    return Tuner(rules.kind(latencies, ramps, tail_budget=rules.tail), Feedback.of(stream))


def _streamed(task: "Task", plan: "Plan", records: "ExitRecords", stream: str) -> "Traffic":
    """The traffic, its requests being rows of the test records in the stream's order."""
    from dataclasses import replace

    import numpy as np

    from ttamer.exits.apparate.streams import STREAMS
    from ttamer.profiles.registry import lookup

    order = lookup(STREAMS, stream, "stream of records")
    rng = np.random.default_rng(task.seed)
    traffic = task.conditions.traffic(plan.service.rate_rps, task.requests, rng)
    order_N = order(records, len(traffic.arrival_s_N), rng)
    return replace(traffic, level_N=(order_N + 0.5) / records.samples)


def _whole(plan: "Plan") -> "dict[str, PolicySpec]":
    from ttamer.profiles.plan import PolicySpec

    models = sorted({group.model for group in plan.groups})
    return {f"{model}/last-exit": PolicySpec(kind="last-exit", model=model) for model in models}


def _without_exits(setting: "Setting") -> "Setting":
    from dataclasses import replace

    return replace(setting, policy=f"{setting.model}/last-exit")


def _device(plan: "Plan", model: str) -> str:
    return next(group.device for group in plan.groups if group.model == model)


def _row(name: str, run: "AdaptiveRun", agreement: float) -> dict[str, object]:
    import numpy as np

    answered_s = run.sojourn_s_N[np.isfinite(run.sojourn_s_N)]
    return {
        "served": name, "mean_s": float(answered_s.mean()), "p50_s": run.latency_s(0.5), "p99_s": run.latency_s(0.99),
        "misses": run.misses, "agreement": agreement, "accuracy": run.accuracy,
    }  # fmt: skip


def _print(
    rows: "list[dict[str, object]]", changes: "list[RampChange]", task: "Task", stream: str, plan: "Plan"
) -> None:
    def number(row: "dict[str, object]", name: str) -> float | None:
        value = row[name]
        return value if isinstance(value, float) else None

    cells = [
        (
            str(row["served"]), render.seconds(number(row, "mean_s")), render.seconds(number(row, "p50_s")),
            render.seconds(number(row, "p99_s")), render.percent(number(row, "misses"), 2),
            render.percent(number(row, "agreement"), 2), render.percent(number(row, "accuracy"), 2),
        )
        for row in rows
    ]  # fmt: skip
    title = (
        f"Apparate in the simulation: {task.requests:,} {task.conditions.arrivals_name} requests at "
        f"{render.rate(plan.service.rate_rps)}, records {stream} (seed {task.seed}); answers are released early"
    )
    render.table(("served", "mean", "p50", "p99", "SLO misses", "agreement", "accuracy"), cells, title=title)
    print(f"\n{render.count(len(changes) - 1, 'change')} of ramps or thresholds; agreement: with the whole model")
    shown = [changes[0], *changes[1:][-MOST_CHANGES:]]
    lines = [
        (
            f"{one.at_s:,.4g} s", one.model, ",".join(map(str, one.ramps)),
            ",".join(f"{threshold:.3g}" for threshold in one.thresholds),
        )
        for one in shown
    ]  # fmt: skip
    render.table(("from", "model", "ramps", "thresholds"), lines, title="the first and the last of them")
