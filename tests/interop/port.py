"""What the peers have in common: a port to talk to, seeds to walk, and a count of what both sides agreed on.

A peer is a function of a seed. It computes what the chapters and papers say, asks the port for the same, and compares.
"""

import argparse
import collections
import json
import random
import subprocess
import sys
import time


class Refused(Exception):
    """The crypto crate refused."""


class Malformed(Exception):
    """The port did not understand: an error in a peer."""


class Disagreement(Exception):
    """The two sides differ."""


def wire(value):
    """As JSON has it: bytes in hexadecimal, names of fields with hyphens."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {name.rstrip("_").replace("_", "-"): wire(field) for name, field in value.items()}
    return value


class Port:
    """A running `vectors-port`; tests/README.md describes its verbs."""

    def __init__(self, path):
        self.process = subprocess.Popen(
            [path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )
        self.asked = 0

    def ask(self, verb, **fields):
        """The answer of a verb. A field whose name Python keeps for itself has an underscore at its end."""
        self.asked += 1
        print(json.dumps({"verb": verb, **wire(fields)}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise Disagreement(f"the port ended at {verb}")
        answer = json.loads(line)
        if answer.get("error") == "refused":
            raise Refused
        if "error" in answer:
            raise Malformed(f"{verb}: {answer['error']}")
        return answer

    def bytes(self, field, verb, **fields):
        """One field of the answer, which is bytes."""
        return bytes.fromhex(self.ask(verb, **fields)[field])

    def state(self, session):
        return self.ask("state", session=session)["state"]

    def end(self):
        self.process.stdin.close()
        if self.process.wait(timeout=60) != 0:
            raise Disagreement("the port ended badly")


class Tally:
    """What the two sides agreed on, and how often."""

    def __init__(self):
        self.counts, self.refusals = collections.Counter(), 0

    def same(self, what, mine, theirs):
        if mine != theirs:
            raise Disagreement(f"{what}: {shown(mine)} here, {shown(theirs)} there")
        self.counts[what] += 1

    def holds(self, what, true):
        if not true:
            raise Disagreement(f"not so: {what}")
        self.counts[what] += 1

    def refused(self, what, step, *arguments, **fields):
        """A step that the other side must not take, whichever side it is."""
        try:
            step(*arguments, **fields)
        except Refused:
            self.counts[what] += 1
            self.refusals += 1
        else:
            raise Disagreement(f"{what}: it was not refused")


def shown(value):
    text = value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


class Dice(random.Random):
    """Random bytes of a seed: the same in each run."""

    def flipped(self, data, start=0, end=None):
        """The same bytes but for one bit, in the part that is given."""
        at = self.randrange(8 * start, 8 * (len(data) if end is None else end))
        return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def walk(peer, seeds, once=None):
    """Runs a peer: `once`, and `peer` for each seed. Prints how much was agreed on, or what was not."""
    name = sys.argv[0].rsplit("/", 1)[-1].removesuffix(".py")
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__.split("\n", 1)[0])
    parser.add_argument("--port", required=True, help="the program vectors-port")
    parser.add_argument("--seeds", default=f"0..{seeds}", metavar="A..B", help="from A, up to and without B")
    parser.add_argument("--list", action="store_true", help="print everything that was agreed on, and how often")
    arguments = parser.parse_args()
    first, _, end = arguments.seeds.partition("..")
    started, cpu = time.monotonic(), time.process_time()
    port, tally, seed = Port(arguments.port), Tally(), None
    try:
        if once:
            once(port, tally, Dice(name))
        for seed in range(int(first), int(end)):
            peer(port, tally, Dice(f"{name} {seed}"))
        port.end()
    except (Disagreement, Refused, Malformed):
        if seed is not None:
            print(f"{name}: replay with --seeds {seed}..{seed + 1}", file=sys.stderr)
        raise
    if arguments.list:
        for what, count in sorted(tally.counts.items()):
            print(f"{count:8}  {what}")
    print(
        f"{name}: seeds {arguments.seeds}: {len(tally.counts)} questions, {sum(tally.counts.values())} agreements, "
        f"{tally.refusals} of them refusals; {port.asked} requests; "
        f"{time.process_time() - cpu:.1f} s of CPU here, {time.monotonic() - started:.1f} s in all"
    )
