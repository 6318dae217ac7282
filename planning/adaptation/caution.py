"""Learning from misses that a plan did not foresee."""

from dataclasses import dataclass

from ttamer.planning.simulation.adaptive import Configuration, Observation

FEWEST_LATE = 5  # requests: fewer may be chance
MORE_CAUTION, MUCH_MORE, MOST_CAUTION = 1.3, 2.0, 16.0  # times the load: where few are late, where all are, in the end
LESS_CAUTION, CALM_S = 1.03, 60.0  # divided by so much after so many seconds, at least, without a miss
LONGEST_CALM_S = 600.0  # before it fades


@dataclass(slots=True)
class Caution:
    """How many times the load is planned for, learned from misses that no change explains.

    A plan knows arrivals that are independent; where they come in bunches it promises too much. While nothing loads
    and more than the tolerated share is late, caution grows, the more the more are late; where so many were answered
    in time that the tolerated share would have shown, it fades a little. Where that was too much it returns to what
    had sufficed, and from then on takes twice as long to fade.
    """

    tolerated: float
    settling_s: float
    factor: float = 1.0
    answered: int = 0
    late: int = 0
    in_time: int = 0
    calm_s: float = 0.0
    changed_s: float = 0.0
    has_faded: bool = False
    calm_enough_s: float = CALM_S

    def factor_after(self, seen: Observation) -> float:
        """The factor, given what was seen since the last decision."""
        if _sizes(seen.running) != _sizes(seen.wished):
            self.changed_s = seen.now_s
        if seen.now_s - self.changed_s <= 2 * self.settling_s:  # what is late now is late because of the change
            self.answered = self.late = 0
            return self.factor
        self.answered += len(seen.sojourn_s_N)
        self.late += seen.missed
        self.in_time = 0 if seen.missed else self.in_time + len(seen.sojourn_s_N)
        self.calm_s = 0.0 if seen.missed else self.calm_s + seen.interval_s
        if self.late >= FEWEST_LATE and self.late > self.tolerated * self.answered:
            share = min(1.0, self.late / max(1, self.answered))
            if self.has_faded:
                self.factor, self.calm_enough_s = (
                    self.factor * LESS_CAUTION,
                    min(LONGEST_CALM_S, 2 * self.calm_enough_s),
                )
            else:
                self.factor = min(MOST_CAUTION, self.factor * (MORE_CAUTION + share * (MUCH_MORE - MORE_CAUTION)))
                self.calm_enough_s = CALM_S
            self.has_faded = False
            self.answered = self.late = 0
        elif self.calm_s >= self.calm_enough_s and self.in_time * self.tolerated >= FEWEST_LATE:
            self.has_faded = self.factor > 1
            self.factor = max(1.0, self.factor / LESS_CAUTION)
            self.answered = self.late = self.in_time = 0
            self.calm_s = 0.0
        return self.factor


def _sizes(configuration: Configuration) -> list[tuple[object, ...]]:
    return sorted((one.stage, one.policy, one.cores, one.replicas) for one in configuration)
