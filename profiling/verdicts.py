"""Whether a measured point can be believed: its evidence as plain numbers, and the verdict that follows.

`throttled`: the kernel held the process back to its quota. `contended`: others used its cores.
`noisy`: nothing is known to be wrong, but the samples do not agree.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from ttamer.profiles.samples import Samples
from ttamer.profiling.clock import Timing
from ttamer.profiling.rounds import relative_half_width

CLEAN_SAMPLES = 0.8  # an undisturbed shared machine gives 87-99 % clean samples
BUSY_SHARE = 0.95  # process CPU time over wall time and cores: below it some core waited
PREEMPTIONS_PER_S = 100.0  # up to about 80 per second were seen in samples that lost no time
STEAL_SHARE = 0.05  # the hypervisor's part of the cores' time
SPREAD = 0.2  # coefficient of variation; the outermost of AIPerf's bands of 5, 10 and 20 %
HALF_WIDTH = 0.1  # of the median's 95 % interval; the band within which perf_analyzer calls a latency stable


def evidence_of(
    samples: Samples, timings: Sequence[Timing], reference: Sequence[Timing], cores: int, device: str
) -> dict[str, float]:
    """What the verdict on one part rests on: its samples, and all its timings of which they were kept.

    cv, half_width: spread of the samples and of their median, relative. reference_s, reference_cv: the
    kernel timed beside each sample; divide by it to compare runs of different minutes.
    cpu_share: process CPU over wall time and cores (a part that is not parallel leaves cores idle).
    main_share: the main thread's CPU over wall time. clean_share: samples whose main thread never waited.
    The last three say nothing of a GPU, so they are left out there.
    """
    wall_s = np.array([timing.wall_s for timing in timings])
    cpu_s = np.array([timing.cpu_s for timing in timings])
    main_share = np.array([timing.thread_s for timing in timings]) / wall_s
    reference_s = np.array([timing.wall_s for timing in reference])
    evidence = {
        "rounds": float(len(timings)),
        "cores": float(cores),
        "cv": _cv(np.array(samples.seconds)),
        "half_width": relative_half_width(samples),
        "preemptions_per_s": float(sum(timing.preemptions for timing in timings) / wall_s.sum()),
        "reference_s": float(np.median(reference_s)),
        "reference_cv": _cv(reference_s),
    }
    shares = {
        "cpu_share": float(np.median(cpu_s / wall_s / cores)),
        "main_share": float(np.median(main_share)),
        "clean_share": float(np.mean([timing.is_clean for timing in timings])),
    }
    evidence |= shares if device == "cpu" else {}
    return {name: value for name, value in evidence.items() if np.isfinite(value)}


def judge(evidence: Mapping[str, float]) -> str:
    """The verdict that the evidence allows: ok, noisy, contended or throttled.

    At one core the main thread's share says it all. At several, a partner thread may be held up while the
    main thread spins; then the process's share falls *and* it is preempted often. The share alone proves
    nothing, because a part that is not parallel leaves the other cores idle.
    """
    if evidence.get("throttled_periods", 0.0) > 0:
        return "throttled"
    if evidence.get("steal_share", 0.0) > STEAL_SHARE or evidence.get("clean_share", 1.0) < CLEAN_SAMPLES:
        return "contended"
    is_held_up = evidence.get("cpu_share", 1.0) < BUSY_SHARE
    if evidence.get("cores", 1.0) > 1 and is_held_up and evidence.get("preemptions_per_s", 0.0) > PREEMPTIONS_PER_S:
        return "contended"
    if evidence.get("cv", 0.0) > SPREAD or evidence.get("half_width", 1.0) > HALF_WIDTH:
        return "noisy"
    return "ok"


def _cv(seconds: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
    return float(np.std(seconds, ddof=1) / np.mean(seconds)) if len(seconds) > 1 else 0.0
