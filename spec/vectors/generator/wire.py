"""Frames' lengths, hellos and proof of work: spec/wire.md, spec/relay.md."""

from .notation import File, fixed, label, sha256, u8, u16, u32, u64
from .people import relay

out = File("wire.txt", "Frames, hellos and proof of work: spec/wire.md, spec/relay.md")
vector, refused = out.vector, out.refused

# ---------------------------------------------------------------- frames
for name, length, hello in [
    ("one byte", 1, "yes"),
    ("68 KiB", 69_632, "yes"),
    ("one byte before the hello", 1, "no"),
    ("4 KiB before the hello", 4096, "no"),
]:
    vector(f"frame of {name}", "frame-length", prefix=u32(length), hello=hello, length=length)
for why, length, hello in [
    ("empty", 0, "yes"),
    ("a byte above 68 KiB", 69_633, "yes"),
    ("the highest length", 2**32 - 1, "yes"),
    ("empty, before the hello", 0, "no"),
    ("a byte above 4 KiB before the hello", 4097, "no"),
    ("68 KiB before the hello", 69_632, "no"),
]:
    refused("frame", why, "frame-length", prefix=u32(length), hello=hello)

# ---------------------------------------------------------------- hellos
hello = lambda lowest, highest, link, magic=b"SEAL": magic + u16(lowest) + u16(highest) + u8(link)
for name, lowest, highest, link in [
    ("", 1, 3, 1),
    (": authenticated", 1, 3, 0),
    (": one version", 1, 1, 1),
    (": the highest version", 1, 65535, 0),
]:
    vector(
        f"client hello{name}",
        "client-hello",
        bytes=hello(lowest, highest, link),
        lowest=lowest,
        highest=highest,
        link=["authenticated", "anonymous"][link],
    )
good = hello(1, 3, 1)
for why, b in [
    ("another magic", hello(1, 3, 1, b"SEAM")),
    ("lowest above highest", hello(3, 1, 1)),
    ("an unknown kind", hello(1, 3, 2)),
    ("a byte left over", good + b"\0"),
    ("cut short", good[:-1]),
    ("magic alone", good[:4]),
    ("magic in lower case", b"seal" + good[4:]),
    ("empty", b""),
]:
    refused("client hello", why, "client-hello", bytes=b)
none = b"SEAL" + u16(0) + u16(2) + u16(4)
vector("relay hello: no version fits", "relay-hello-none", bytes=none, lowest=2, highest=4)
for why, b in [
    ("a version that was not offered", b"SEAL" + u16(9) + u16(2) + u16(4)),
    ("no version, cut short", none[:-1]),
    ("no version, a byte left over", none + b"\0"),
    ("no version, another magic", b"SEAM" + none[4:]),
]:
    refused("relay hello", why, "relay-hello-none", bytes=b)

# ---------------------------------------------------------------- work
exporter, body = fixed("exporter"), u32(5) + u64(5) + b"alice"


def bits(nonce, counter=3, relay=relay, exporter=exporter, body=body):
    hashed = sha256(label("proof of work") + relay + exporter + u64(counter) + sha256(body) + u64(nonce))
    return 256 - int.from_bytes(hashed, "big").bit_length()


nonce = next(n for n in range(2**32) if bits(n) >= 16)
exact = next(n for n in range(2**32) if bits(n) == 12)
work = dict(relay=relay, exporter=exporter, counter=3, request=body)
vector("proof of work of 16 bits", "work", **work, nonce=nonce, bits=16)
vector("proof of work of 12 bits", "work", **work, nonce=exact, bits=12)
for why, change in [
    ("another nonce", {"nonce": nonce - 1}),
    ("another counter", {"counter": 4}),
    ("another relay", {"relay": fixed("other relay")}),
    ("another channel", {"exporter": fixed("other exporter")}),
    ("another request", {"request": body[:-1] + b"a"}),
    ("it has 12 bits and 13 are wanted", {"nonce": exact, "bits": 13}),
]:
    refused("proof of work", why, "work", **{**work, "nonce": nonce, "bits": 16, **change})
