"""`python -m tests.instrumentors [--record] [PAIR ...]`: build the environments; with --record write the goldens anew."""

import sys

from tests.instrumentors import environment
from tests.instrumentors.golden import golden
from tests.instrumentors.receiver import Receiver


def main(arguments: list[str]) -> None:
    pairs = [name for name in arguments if not name.startswith("-")] or environment.PAIRS
    for pair in pairs:
        print(pair, "is there" if environment.is_built(pair) else "is being built", flush=True)
        environment.build(pair)
        if "--record" in arguments:
            with Receiver() as receiver:
                environment.run(pair, receiver.url)
            receiver.keep(golden(pair))
            print(f"{pair}: {len(receiver.exports)} exports, {golden(pair).stat().st_size:,} bytes", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
