"""Whether a measured point can be believed: its evidence as plain numbers, and the verdict that follows.

`throttled`: a quota, or the GPU's own protection, held it back. `contended`: others used its cores, or waited for
them. `noisy`: nothing is known to be wrong, but its median, or the quantile that is planned on, is not known well.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ttamer.profiles.intervals import mean_interval, quantile_samples_needed
from ttamer.profiles.samples import Samples
from ttamer.profiling.clock import Timing
from ttamer.profiling.rounds import relative_half_width

CLEAN_SAMPLES = 0.8  # an undisturbed shared machine gives 87-99 % clean samples
RUNNING_SHARE = 0.9  # of a group's time in which the calling thread ran; a busy loop on its core leaves half
WAITED_SHARE = 0.05  # of the threads' time spent waiting for a core
FOREIGN_SHARE = 0.1  # of the process's cores, used by others
PRESSURE_SHARE = 0.5  # of the time, in which some task waited for a CPU: the machine has more to do than CPUs
STEAL_SHARE = 0.05  # the hypervisor's part of the cores' time
BUSY_SHARE = 0.95  # process CPU time over wall time and cores: below it some core waited
PREEMPTIONS_PER_S = 100.0  # up to about 80 per second were seen in samples that lost no time
ERROR = 0.021  # the most that a median may be wrong, where the budget does not say: two runs then agree within 3 %
TAIL_ERROR = 0.02  # of the planned quantile: slow calls come in bursts, and at 0.03 two runs were up to 5.9 % apart
DRIFT = 0.5  # of the machine's speed beside one point, between the slowest and fastest tenth: too much to divide out
BLOCKS = 4  # parts of a process's samples in time, whose medians differ by what drift is left
MODES_APART = 5.0  # Ashman's D of the two halves: 2.7 for a normal distribution, 3.5 for an even one
MODE_GAP = 0.05  # between the two means, over the median: a smaller one changes no plan
FEWEST_FOR_MODES = 30  # samples; of 20 normal ones one draw in fifty looks like two modes
MODE_SHARE = 0.1  # of the samples in the smaller mode; fewer are a tail

Floats = NDArray[np.float64]


def evidence_of_visit(timings: Sequence[Timing], cores: int, device: str) -> dict[str, float]:
    """What all timings of one part by one process say of disturbance.

    cpu_share: process CPU over wall time and cores (a part that is not parallel leaves cores idle).
    main_share: the main thread's CPU over wall time. clean_share: samples during which no thread waited.
    These say nothing of a GPU, so they are left out there.
    """
    wall_s = np.array([timing.wall_s for timing in timings])
    evidence = {"rounds": float(len(timings)), "cores": float(cores)}
    if device != "cpu":
        return evidence
    cpu_s = np.array([timing.cpu_s for timing in timings])
    return evidence | {
        "part_preemptions_per_s": float(sum(timing.preemptions for timing in timings) / wall_s.sum()),
        "cpu_share": float(np.median(cpu_s / wall_s / cores)),
        "main_share": float(np.median([timing.thread_s for timing in timings] / wall_s)),
        "clean_share": float(np.mean([timing.is_clean for timing in timings])),
    }


def evidence_of_samples(samples: Samples, reference_s: Sequence[float], quantile: float) -> dict[str, float]:
    """What the samples of all processes say of how well the median and the planned quantile are known.

    error: of the median, relative: the largest of half_width (its distribution-free 95 % interval), block_error (its
    95 % interval by the medians of successive blocks, which sees drift that was not divided out) and process_spread
    (two standard errors by the processes' medians). tail_error: two standard errors of the quantile, relative, by its
    rank or by the processes' quantiles, where there are samples enough to bound it. drift: between slow and fast
    tenths of the reference kernel beside the samples. modes_apart, mode_gap, mode_share: of the two halves that split
    the samples best.
    """
    seconds = np.array(samples.seconds)
    found = {
        "samples": float(len(samples)),
        "processes": float(len(samples.counts)),
        "cv": float(np.std(seconds, ddof=1) / np.mean(seconds)) if len(seconds) > 1 else 0.0,
        "half_width": relative_half_width(samples),
        "block_error": _block_error(samples),
        "process_spread": _process_spread(samples.process_medians_s()),
        "reference_s": float(np.median(reference_s)),
        "drift": float(np.quantile(reference_s, 0.9) / np.quantile(reference_s, 0.1) - 1),
        "samples_needed": float(quantile_samples_needed(quantile)),
    }
    found["error"] = max(found["half_width"], found["block_error"], found["process_spread"])
    if len(samples) >= found["samples_needed"]:
        tails_s = [float(np.quantile(some, quantile, method="inverted_cdf")) for some in samples.by_process()]
        found["tail_error"] = max(_tail_error(seconds, quantile), _process_spread(tails_s))
    found |= _modes(seconds)
    return {name: value for name, value in found.items() if math.isfinite(value)}


def judge(evidence: Mapping[str, float]) -> str:
    """The verdict that the evidence allows: ok, noisy, contended or throttled."""
    if evidence.get("throttled_periods", 0.0) > 0 or evidence.get("gpu_throttled", 0.0) > 0:
        return "throttled"
    if is_contended(evidence):
        return "contended"
    return "noisy" if is_noisy(evidence) else "ok"


def is_contended(evidence: Mapping[str, float]) -> bool:
    """Whether others had the cores.

    A short call may fit between two turns of a neighbour, so what the whole group got counts too. Where the
    scheduler's own account of waiting is missing, a partner thread that was held up while the main thread spins shows
    in the process's share *and* in its preemptions: the share alone is what a part that is not parallel looks like.
    """
    above = {
        "steal_share": STEAL_SHARE, "waited_share": WAITED_SHARE, "foreign_share": FOREIGN_SHARE,
        "pressure_share": PRESSURE_SHARE, "gpu_foreign": 0.0,
    }  # fmt: skip
    below = {"clean_share": CLEAN_SAMPLES, "running_share": RUNNING_SHARE}
    if any(evidence.get(name, 0.0) > limit for name, limit in above.items()):
        return True
    if any(evidence.get(name, 1.0) < limit for name, limit in below.items()):
        return True
    is_held_up = evidence.get("cpu_share", 1.0) < BUSY_SHARE
    is_interrupted = evidence.get("part_preemptions_per_s", 0.0) > PREEMPTIONS_PER_S
    return "waited_share" not in evidence and evidence.get("cores", 1.0) > 1 and is_held_up and is_interrupted


def is_noisy(evidence: Mapping[str, float]) -> bool:
    """Whether the median or the planned quantile is not known well enough, or two modes share the samples."""
    has_modes = (
        evidence.get("modes_apart", 0.0) > MODES_APART
        and evidence.get("mode_gap", 0.0) > MODE_GAP
        and evidence.get("mode_share", 0.0) > MODE_SHARE
    )
    return (
        evidence.get("error", math.inf) > evidence.get("error_allowed", ERROR)
        or evidence.get("tail_error", 0.0) > TAIL_ERROR
        or evidence.get("drift", 0.0) > DRIFT
        or has_modes
    )


def _block_error(samples: Samples) -> float:
    """Half the 95 % interval of the mean of block medians, relative; 0 where no process has enough samples to split."""
    blocks = [
        float(np.median(block))
        for some in samples.by_process()
        if len(some) >= 3 * BLOCKS
        for block in np.array_split(np.array(some), BLOCKS)
    ]
    if len(blocks) < 2:
        return 0.0
    low_s, high_s = mean_interval(blocks)
    return (high_s - low_s) / (high_s + low_s)


def _process_spread(found_s: Sequence[float]) -> float:
    """Two standard errors of the mean of what the processes found, relative: of two processes their difference."""
    if len(found_s) < 2:
        return 0.0
    return 2 * float(np.std(found_s, ddof=1)) / math.sqrt(len(found_s)) / float(np.mean(found_s))


def _tail_error(seconds: Floats, quantile: float) -> float:
    """From one standard error below to one above the quantile's rank, over the quantile."""
    ordered, count = np.sort(seconds), len(seconds)
    spread = math.sqrt(count * quantile * (1 - quantile))
    ranks = np.clip(np.round([count * quantile - spread, count * quantile, count * quantile + spread]), 1, count)
    low_s, middle_s, high_s = ordered[ranks.astype(np.int64) - 1]
    return float((high_s - low_s) / middle_s)


def _modes(seconds: Floats) -> dict[str, float]:
    """The split of the samples in two that leaves the least variance, and how far the two are apart.

    Source: Otsu, A threshold selection method, IEEE Trans. SMC 9 (1979); D: Ashman, Bird & Zepf, AJ 108 (1994).
    """
    count = len(seconds)
    if count < FEWEST_FOR_MODES or seconds.min() == seconds.max():
        return {}
    ordered = np.sort(seconds)
    below = np.arange(2, count - 1)  # at least two on either side
    sums, squares = np.cumsum(ordered), np.cumsum(ordered**2)
    left, right = sums[below - 1] / below, (sums[-1] - sums[below - 1]) / (count - below)
    within = squares[-1] - below * left**2 - (count - below) * right**2
    best = int(np.argmin(within))
    low, high = ordered[: below[best]], ordered[below[best] :]
    spread = math.sqrt((low.var() + high.var()) / 2)
    gap = float(high.mean() - low.mean())
    return {
        "modes_apart": gap / max(spread, 1e-3 * gap),
        "mode_gap": gap / float(np.median(ordered)),
        "mode_share": min(len(low), len(high)) / count,
    }
