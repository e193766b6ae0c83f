#!/usr/bin/env python3
"""Writes the test vectors of this folder, by an implementation of the chapters that shares no code with the crates.

Needs `cryptography` 47 or later and `kyber-py` 1.2. Whatever is random in a vector is drawn from a fixed text, so each run
writes the same bytes; `generate.py --check` writes nothing and fails where a file is not what it would write.
"""

import pathlib
import sys

sys.dont_write_bytecode = True
from generator import account, attachment, conversation, encoding, message, room, sealed, wire  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent


def main():
    stale = []
    for chapter in (account, message, conversation, sealed, wire, encoding, room, attachment):
        path = HERE / chapter.out.name
        if "--check" not in sys.argv:
            path.write_text(chapter.out.text(), "utf-8")
        elif not path.exists() or path.read_text("utf-8") != chapter.out.text():
            stale.append(chapter.out.name)
    if stale:
        sys.exit(f"not what generate.py writes: {', '.join(stale)}; run python3 spec/vectors/generate.py")


main()
