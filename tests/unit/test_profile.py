from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ttamer.profiles.errors import DocumentError, InputError
from ttamer.profiles.profile import AccuracyRow, LatencyPoint, Machine, ModelSpec, PointKey, Profile
from ttamer.profiles.samples import Samples
from ttamer.profiles.shelf import profile_option, read_profile, write_profile

SPEC = ModelSpec(name="m", family="f", classes=10, input_shape=(3, 8, 8), exits=("a", "b"), head="gap")
PARTS = (("stage", 0), ("stage", 1), ("head", 0), ("head", 1), ("whole", -1))


def point(part: str, exit: int, batch: int, seconds: list[float]) -> LatencyPoint:
    key = PointKey(model="m", part=part, exit=exit, device="cpu", dtype="float32", batch=batch, cores=1)
    return LatencyPoint(key=key, samples=Samples(seconds), peak_memory_bytes=1, load_time_s=0.1, evidence={"cv": 0.5})


def profile() -> Profile:
    points = tuple(point(part, exit, batch, [0.1 * batch, 0.2 * batch]) for batch in (1, 4) for part, exit in PARTS)
    row = AccuracyRow(
        model="m", exit=1, dataset="d", split="test", accuracy=0.9, low=None, high=None, samples=10, source="published"
    )
    machine = Machine(fingerprint="f", facts={"cpu": None})
    return Profile(name="p", machine=machine, models={"m": SPEC}, latency=points, accuracy=(row,))


def test_a_profile_is_read_as_written(tmp_path: Path) -> None:
    write_profile(tmp_path / "p", profile())
    read = read_profile(tmp_path / "p")
    assert read == replace(profile(), folder=tmp_path / "p")
    assert read.digest(["m"]) == profile().digest(["m"])


def test_a_cascade_is_looked_up_by_its_members() -> None:
    other = replace(SPEC, name="n", exits=("c", "d", "e"))
    points = [point(part, exit, 1, [1.0]) for part, exit in (*PARTS, ("stage", 2), ("head", 2))]
    both = replace(
        profile(),
        models={"m": SPEC, "n": other},
        latency=(*profile().latency, *(replace(p, key=replace(p.key, model="n")) for p in points)),
    )
    assert both.spec("n:m").exits == ("n/c", "n/d", "n/e", "m/a", "m/b")
    assert both.point("n:m", "head", 4, device="cpu", cores=1, batch=1).key == point("head", 1, 1, [0.1]).key
    assert both.batches("n:m", "stage", 3, device="cpu", cores=1) == [1, 4]
    assert both.point("n:m", "whole", -1, device="cpu", cores=1, batch=1).key.model == "m"
    assert both.settings_of("n:m") == [("cpu", 1, 1)]
    assert [(row.model, row.exit) for row in both.accuracy_of("n:m")] == [("n:m", 4)]
    assert both.digest(["n:m"]) == both.digest(["m", "n"]) != both.digest(["m"])
    with pytest.raises(InputError, match="unknown model 'k'"):
        both.spec("m:k")
    with pytest.raises(InputError, match="join models that read the same samples"):
        replace(both, models={"m": SPEC, "n": replace(other, classes=3)}).spec("m:n")


def test_look_ups_interpolate_between_measured_batches_and_refuse_beyond() -> None:
    p = profile()
    curve = p.curve_s("m", "whole", -1, device="cpu", cores=1, up_to=3)
    np.testing.assert_allclose(curve, [0, 0.15, 0.3, 0.45])
    with pytest.raises(InputError, match=r"was measured at batches \[1, 4\] on 1 cpu cores, not up to 8"):
        p.curve_s("m", "whole", -1, device="cpu", cores=1, up_to=8)


def test_settings_are_those_where_every_stage_was_measured() -> None:
    assert profile().settings_of("m") == [("cpu", 1, 1), ("cpu", 1, 4)]
    partial = replace(profile(), latency=profile().latency[1:])  # without stage 0 at batch 1
    assert partial.settings_of("m") == [("cpu", 1, 4)]


def test_the_digest_follows_the_timings_and_not_their_order() -> None:
    p = profile()
    assert replace(p, latency=p.latency[::-1]).digest(["m"]) == p.digest(["m"])
    assert replace(p, latency=(*p.latency[:-1], point("whole", -1, 4, [9.0]))).digest(["m"]) != p.digest(["m"])


def test_an_unknown_model_is_named_with_its_neighbour() -> None:
    with pytest.raises(InputError, match="unknown model 'mm' in profile 'p'"):
        profile().spec("mm")


def test_a_missing_profile_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(DocumentError) as caught:
        read_profile(tmp_path)
    assert caught.value.remedy == f"run: ttamer profile --quick -p {tmp_path}"


@pytest.mark.parametrize(
    ("folder", "option"),
    [("profiles/local", ""), ("profiles/demo", " -p demo"), ("else/where", " -p else/where"), ("a b/c", " -p 'a b/c'")],
)
def test_a_remedy_names_the_profile_as_it_is_typed(folder: str, option: str) -> None:
    assert profile_option(Path(folder)) == option


def test_a_corrupt_latency_table_is_refused(tmp_path: Path) -> None:
    write_profile(tmp_path, profile())
    path = tmp_path / "latency.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DocumentError, match="not a readable Parquet file"):
        read_profile(tmp_path)


@pytest.mark.parametrize("seconds", [[], [0.0], [-1.0], [float("nan")], [float("inf")]])
def test_impossible_timings_are_refused(seconds: list[float]) -> None:
    with pytest.raises(InputError, match="timings must be finite and above zero"):
        Samples(seconds)


def test_tail_quantiles_are_observed_samples() -> None:
    samples = Samples([1.0, 2.0, 3.0, 4.0])
    assert samples.quantile_s(0.9) == 4.0
    assert samples.median_s() == 2.5
