#!/usr/bin/env python3
"""Holds spec/vectors to the chapters: decodes and verifies every vector, by code that shares nothing with the crates nor with the
generator of the vectors.

    verify.py            every vector comes out as it says; prints how many of each kind
    verify.py --break    alters each field of each vector that is taken, one bit or character at a time: it must then disagree
    verify.py FILE...    these files only

An unknown kind, an unknown field, and a field of a taken vector that nothing looked at are failures.
"""

import collections
import glob
import os
import pathlib
import sys

from chapters.kinds import KINDS, Vector
from chapters.primitive import Refused, check

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../spec/vectors")


def read(path):
    vectors, fields = [], {}
    for number, line in enumerate(pathlib.Path(path).read_text("utf-8").split("\n"), 1):
        if line and not line.startswith("#"):
            name, value = line.split(":", 1)
            check(name not in fields and value.startswith(" "))
            fields[name] = value[1:]
        elif fields and not line:
            vectors.append(Vector(f"{os.path.basename(path)}:{number}", fields))
            fields = {}
    return vectors


def outcome(vector):
    """`ok`, `refused`, or `other` where it is taken and something else comes out."""
    try:
        return "ok" if KINDS[vector.fields["kind"]](vector) else "other"
    except Refused:
        return "refused"
    except KeyError:
        return "other"  # a vector that is to be refused has nothing that could come out


def complaint(vector, known):
    """What is wrong with a vector; nothing where it holds."""
    if vector.fields["kind"] not in KINDS:
        return "an unknown kind"
    said = vector.fields["expect"]
    came_out = outcome(vector)
    if came_out != said:
        return f"{came_out} instead of {said}"
    if said == "ok" and set(vector.fields) - vector.seen:
        return f"nothing looked at {', '.join(sorted(set(vector.fields) - vector.seen))}"
    if said == "refused" and set(vector.fields) - known[vector.fields["kind"]]:
        return "a field that no taken vector of its kind has"
    return None


# What is looked at, and may be another all the same.
FREE = {
    ("name", "text"): "another name is a name",
    ("room-name", "text"): "another name is a name",
    ("kem-key", "key"): "another key is a key",
    ("receipt-order", "left"): "most of it has no rank",
    ("receipt-order", "right"): "most of it has no rank",
    ("box-size", "list"): "only its length counts",
    ("box-size", "message-length"): "a size holds for many lengths",
    ("attachment-parts", "size"): "a number of parts holds for many sizes",
}


def altered(value):
    """The value with one bit of one byte altered, of hex; or of a number; or one letter or digit of a text, of JSON or of a step."""
    if value.isdigit() and len(value) < 21:
        return str(int(value) ^ 1)
    try:
        data = bytearray(bytes.fromhex(value if " " not in value else "-"))
        data[len(data) // 3] ^= 8
        return data.hex()
    except (ValueError, IndexError):
        pass
    places = [at for at, letter in enumerate(value) if letter.isascii() and letter.isalnum()]
    if not places:
        return "00"
    at = places[len(places) // 2]
    other = HEX[HEX.index(value[at]) ^ 1] if value[at] in HEX else chr(ord(value[at]) ^ 1)
    return value[:at] + other + value[at + 1 :]


HEX = "0123456789abcdef"


def breaks(vectors):
    """Alters every field of every vector that is taken; what still holds, how many were tried, and how many may be another."""
    still, tried, free = [], 0, 0
    for vector in vectors:
        if vector.fields["expect"] != "ok":
            continue
        for name in vector.fields:
            if name in ("name", "kind", "expect"):
                continue
            # A message that is refused is refused with another bit too.
            if (vector.fields["kind"], name) in FREE or " refuses " in vector.fields[name]:
                free += 1
                continue
            tried += 1
            bent = Vector(vector.place, {**vector.fields, name: altered(vector.fields[name])})
            try:
                if outcome(bent) == "ok":
                    still.append(f"{vector.place}: {vector.fields['name']}: {name}")
            except (ValueError, KeyError, IndexError, AssertionError, TypeError):
                pass  # what stands there is no value any more
    return still, tried, free


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--break"]
    files = arguments or sorted(glob.glob(os.path.join(VECTORS, "*.txt")))
    vectors = [vector for path in files for vector in read(path)]
    if "--break" in sys.argv:
        still, tried, free = breaks(vectors)
        print("\n".join(still))
        print(
            f"{tried} fields of taken vectors altered: {tried - len(still)} noticed, {len(still)} not; {free} may be another"
        )
        sys.exit(1 if still or tried < 500 else 0)
    known = collections.defaultdict(set)
    for vector in vectors:
        if vector.fields["expect"] == "ok":
            known[vector.fields["kind"]] |= set(vector.fields)
    counts = collections.defaultdict(lambda: [0, 0])
    wrong = 0
    for vector in vectors:
        why = complaint(vector, known)
        counts[vector.fields["kind"]][vector.fields["expect"] == "refused"] += 1
        if why:
            wrong += 1
            print(f"{vector.place}: {vector.fields['name']}: {why}")
    for name, (good, bad) in sorted(counts.items()):
        print(f"{name:20} {good:4} taken {bad:4} refused")
    for name in sorted(set(KINDS) - set(counts)) if not arguments else []:
        wrong += 1
        print(f"{name}: no vector is of this kind")
    print(f"{len(vectors)} vectors of {len(counts)} kinds: {len(vectors) - wrong} hold, {wrong} do not")
    sys.exit(1 if wrong or not vectors else 0)


main()
