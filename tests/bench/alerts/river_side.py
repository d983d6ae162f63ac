"""ADWIN and Page-Hinkley of the library `river`, as shipped there. Runs in an environment of the bench's own.

Prints one JSON object a line: method, outcomes a minute, rate, alarms, days - or median and p90 of the delay in minutes.
"""

import json
import sys
import zlib

import numpy as np
from river import drift

METHODS = {"ADWIN (0.002)": lambda: drift.ADWIN(delta=0.002), "Page-Hinkley": lambda: drift.PageHinkley()}
HEALTHY, FALSE_RATES, TRUE_RATES = 0.03, (0.03, 0.04, 0.05), (0.07, 0.10, 0.20)
MINUTES_A_DAY = 1_440


def stream(rng: np.random.Generator, per_minute: float, rate: float, days: float) -> list[int]:
    """Outcomes one by one; at these counts a Poisson number of them is their mean."""
    return rng.binomial(1, rate, int(per_minute * MINUTES_A_DAY * days)).tolist()


def alarms(method: str, outcomes: list[int]) -> int:
    detector, found = METHODS[method](), 0
    for x in outcomes:
        detector.update(x)
        found += detector.drift_detected
    return found


def delay(method: str, before: list[int], after: list[int], per_minute: float) -> float:
    detector = METHODS[method]()
    for x in before:
        detector.update(x)
    for i, x in enumerate(after, 1):
        detector.update(x)
        if detector.drift_detected:
            return i / per_minute
    return float("inf")


def main(per_minute: float, days: int, runs: int) -> None:
    for method in METHODS:
        rng = np.random.default_rng(zlib.crc32(f"{method} {per_minute}".encode()))
        for rate in FALSE_RATES:
            found = alarms(method, stream(rng, per_minute, rate, days))
            print(json.dumps({"method": method, "per_minute": per_minute, "rate": rate, "alarms": found, "days": days}))
        for rate in TRUE_RATES:
            minutes = sorted(
                delay(method, stream(rng, per_minute, HEALTHY, 1), stream(rng, per_minute, rate, 0.5), per_minute)
                for _ in range(runs)
            )
            said = {"median": minutes[len(minutes) // 2], "p90": minutes[min(runs - 1, int(0.9 * runs))], "runs": runs}
            print(json.dumps({"method": method, "per_minute": per_minute, "rate": rate, **said}))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
