"""Confidence intervals: of proportions and quantiles without assuming a distribution, of means of replications."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ttamer.profiles.errors import InputError

Z_95 = 1.959963984540054  # two-sided 95 %, normal
BOUND_TOLERANCE = 1e-12  # of a proportion


def wilson_interval(successes: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Score interval of a proportion.

    Raises InputError if trials is 0 or successes lies outside 0..trials.
    Source: Wilson, Probable inference, JASA 22 (1927).

    >>> low, high = wilson_interval(90, 100)
    >>> round(low, 4), round(high, 4)
    (0.8256, 0.9448)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"{successes} successes of {trials} trials have no proportion")
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials**2)) / scale
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return low, high


def binomial_cdf(k: int, n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p)."""
    if k < 0:
        return 0.0
    if k >= n or p == 0.0:
        return 1.0
    if p == 1.0:
        return 0.0
    first, cdf = _binomial_cdfs(n, p)
    return float(cdf[min(k - first, len(cdf) - 1)]) if k >= first else 0.0


def _binomial_cdfs(n: int, p: float) -> tuple[int, NDArray[np.float64]]:
    """P(X <= k) from the first k on that matters to the last: what lies beyond is below 1e-30, by Bernstein.

    The terms follow from each other by their ratios, from 1 at the first, and are divided by their sum; so few are made
    of many trials.
    """
    half = 12 * math.sqrt(n * p * (1 - p)) + 100
    first, last = max(0, math.floor(n * p - half)), min(n, math.ceil(n * p + half))
    k = np.arange(first + 1, last + 1)
    log_terms = np.append(0.0, np.cumsum(np.log((n + 1 - k) / k) + (math.log(p) - math.log1p(-p))))
    cdf = np.cumsum(np.exp(log_terms - log_terms.max()))
    return first, np.asarray(cdf / cdf[-1])


def clopper_pearson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a proportion: it holds its confidence whatever the proportion is.

    Raises InputError if trials is 0 or successes lies outside 0..trials.
    Source: Clopper & Pearson, Biometrika 26 (1934).

    >>> low, high = clopper_pearson_interval(90, 100)
    >>> round(low, 4), round(high, 4)
    (0.8238, 0.951)
    """
    tail = (1 - confidence) / 2
    low = 1 - proportion_bound(trials - successes, trials, 1 - tail)
    return low, proportion_bound(successes, trials, 1 - tail)


def proportion_bound(successes: int, trials: int, confidence: float = 0.95) -> float:
    """Exact upper bound of a proportion, one-sided: the largest one that so few successes do not speak against.

    Raises InputError if trials is 0 or successes lies outside 0..trials.
    Source: Clopper & Pearson, Biometrika 26 (1934).

    >>> round(proportion_bound(0, 299), 5), round(proportion_bound(0, 298), 5)
    (0.00997, 0.01)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError(f"{successes} successes of {trials} trials have no proportion")
    if successes == trials:
        return 1.0
    low, high = successes / trials, 1.0
    while high - low > BOUND_TOLERANCE:
        middle = (low + high) / 2
        low, high = (middle, high) if binomial_cdf(successes, trials, middle) > 1 - confidence else (low, middle)
    return high


def paired_difference_interval(lost: int, won: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """Interval of the difference of two proportions over the same trials: of what one loses less what it wins.

    lost: trials that the first fails and the second does not; won: the reverse.
    Raises InputError unless there are trials enough for both.
    Source: Agresti & Min, Statistics in Medicine 24 (2005), Wald's interval after adding half a trial to each outcome.

    >>> low, high = paired_difference_interval(3, 10, 300)
    >>> round(low, 4), round(high, 4)
    (-0.0473, 0.001)
    """
    if trials < 1 or lost < 0 or won < 0 or lost + won > trials:
        raise InputError(f"{lost} lost and {won} won of {trials} trials have no difference")
    all_of_them, lost_more, won_more = trials + 2, lost + 0.5, won + 0.5
    difference = (lost_more - won_more) / all_of_them
    half = z * math.sqrt(((lost_more + won_more) / all_of_them - difference**2) / all_of_them)
    return max(-1.0, difference - half), min(1.0, difference + half)


def trials_needed(bound: float, confidence: float = 0.95, successes: int = 0) -> int:
    """Least number of trials in which so many successes keep the proportion within a bound, one-sided.

    Raises InputError unless the bound lies within 0 and 1.

    >>> trials_needed(0.01), trials_needed(0.01, successes=1)
    (299, 473)
    """
    if not 0 < bound < 1 or not 0 < confidence < 1:
        raise InputError(f"a bound of {bound} at confidence {confidence}", remedy="both lie between 0 and 1")
    few, enough = successes, successes + 1
    while binomial_cdf(successes, enough, bound) > 1 - confidence:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (middle, enough) if binomial_cdf(successes, middle, bound) > 1 - confidence else (few, middle)
    return enough


def quantile_samples_needed(q: float, confidence: float = 0.95) -> int:
    """Least sample count whose maximum bounds the q-quantile with the given confidence.

    >>> quantile_samples_needed(0.99), quantile_samples_needed(0.99, 0.99)
    (299, 459)
    """
    return math.ceil(math.log(1 - confidence) / math.log(q))


def quantile_interval(values: ArrayLike, q: float, confidence: float = 0.95) -> tuple[float, float]:
    """Order-statistic interval of the q-quantile; an end that the sample cannot bound is -inf or inf.

    Source: David & Nagaraja, Order Statistics (2003), sec. 7.1.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    if len(ordered) == 0:
        raise InputError("no samples have no quantile")
    lower, upper = quantile_ranks(len(ordered), q, confidence)
    low = -math.inf if lower is None else float(ordered[lower - 1])
    return low, math.inf if upper is None else float(ordered[upper - 1])


def quantile_ranks(samples: int, q: float, confidence: float = 0.95) -> tuple[int | None, int | None]:
    """Which order statistics (the least is 1) hold the q-quantile between them, None where so few samples do not tell.

    Source: David & Nagaraja, Order Statistics (2003), sec. 7.1.

    >>> quantile_ranks(1000, 0.99), quantile_ranks(100, 0.99)
    ((983, 997), (97, None))
    """
    (first, cdf), tail = _binomial_cdfs(samples, q), (1 - confidence) / 2
    lower = first + int(np.searchsorted(cdf, tail, side="right"))  # P(X < rank) <= tail
    upper = first + int(np.searchsorted(cdf, 1 - tail)) + 1  # P(X >= rank) <= tail
    return lower if lower >= 1 else None, upper if upper <= samples else None


def quantile_bound(values: ArrayLike, q: float, confidence: float = 0.95) -> float:
    """Order-statistic upper bound of the q-quantile, one-sided; inf where the samples are too few.

    Source: David & Nagaraja, Order Statistics (2003), sec. 7.1.

    >>> quantile_bound(range(1, 300), 0.99), quantile_bound(range(1, 299), 0.99)
    (299.0, inf)
    """
    return quantile_interval(values, q, 2 * confidence - 1)[1]


def student_t(freedom: int, confidence: float = 0.95) -> float:
    """The two-sided quantile of Student's t: |T| stays below it with this confidence.

    Raises InputError on less than 1 degree of freedom.
    Source: Abramowitz & Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4.

    >>> round(student_t(9), 3), round(student_t(1, 0.9), 3)
    (2.262, 6.314)
    """
    if freedom < 1 or not 0 < confidence < 1:
        raise InputError(f"Student's t of {freedom} degrees of freedom at confidence {confidence}")
    low, high = 0.0, 1.0
    while _student_share(high, freedom) < confidence:
        low, high = high, 2 * high
    while high - low > BOUND_TOLERANCE * high:
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if _student_share(middle, freedom) < confidence else (low, middle)
    return high


def _student_share(t: float, freedom: int) -> float:
    """P(|T| <= t), a finite sum for whole degrees of freedom."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    is_odd = freedom % 2 == 1
    term = math.cos(angle) if is_odd else 1.0
    total = 0.0 if freedom == 1 else term
    for k in range(3 if is_odd else 2, freedom - 1, 2):
        term *= square * (k - 1) / k
        total += term
    return (angle + math.sin(angle) * total) * 2 / math.pi if is_odd else math.sin(angle) * total


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Student's interval of the mean of independent values of nearly normal law, as of replications.

    Raises InputError on fewer than two values.

    >>> mean_interval([1.0, 1.0, 1.0])
    (1.0, 1.0)
    """
    numbers = np.asarray(values, dtype=float)
    if len(numbers) < 2:
        raise InputError("one value has no interval of its mean", remedy="give two or more")
    half = student_t(len(numbers) - 1, confidence) * float(numbers.std(ddof=1)) / math.sqrt(len(numbers))
    return float(numbers.mean()) - half, float(numbers.mean()) + half
