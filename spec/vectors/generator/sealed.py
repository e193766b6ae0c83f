"""Sealed boxes: spec/message.md."""

import hashlib
import hmac
import struct

from .notation import File, dh, encaps, expand, fixed, flip, k_public, label, long, seal, sha256, u8, u16, u32, x_public
from .people import alice, bob
from .session import Agreement, draw, first_chain

out = File("sealed.txt", "Sealed boxes: spec/message.md")
vector, refused = out.vector, out.refused


def x_wing_keys(seed):
    wide = hashlib.shake_256(seed).digest(96)
    return wide[:64], wide[64:], k_public(wide[:64]) + x_public(wide[64:])


def x_wing_encaps(public, ephemeral, said=None):
    """Ciphertext and secret; `said`: another X25519 half than the ephemeral's."""
    ss_m, ct_m = encaps(public[:1184], draw("box", 32))
    ct_x = said or x_public(ephemeral)
    ss = hashlib.sha3_256(
        ss_m + (bytes(32) if said else dh(ephemeral, public[1184:])) + ct_x + public[1184:] + b"\\.//^\\"
    ).digest()
    return ct_m + ct_x, ss


def key_schedule(suite, shared, info):
    extract = lambda salt, what, ikm: hmac.new(salt, b"HPKE-v1" + suite + what + ikm, "sha256").digest()
    context = u8(0) + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    wide = lambda what, n: expand(secret, struct.pack(">H", n) + b"HPKE-v1" + suite + what + context, n)
    return wide(b"key", 32), wide(b"base_nonce", 12)


SUITE = b"HPKE\x64\x7a\x00\x01\x00\x03"
box_seed = fixed("box key")
_, _, box_public = x_wing_keys(box_seed)
enc, box_shared = x_wing_encaps(box_public, fixed("box ephemeral"))
vector("X-Wing", "x-wing", seed=box_seed, public=box_public, ciphertext=enc, shared=box_shared)
low_enc, low_shared = x_wing_encaps(box_public, None, bytes(32))
refused(
    "X-Wing",
    "an X25519 half of low order",
    "x-wing",
    seed=box_seed,
    public=box_public,
    ciphertext=low_enc,
    shared=low_shared,
)
vector(
    "HPKE key schedule, RFC 9180 A.2.1",
    "hpke-key-schedule",
    suite=b"HPKE\x00\x20\x00\x01\x00\x03",
    shared=bytes.fromhex("0bbe78490412b4bbea4812666f7916932b828bba79942424abb65244930d69a7"),
    info=bytes.fromhex("4f6465206f6e2061204772656369616e2055726e"),
    key=bytes.fromhex("ad2744de8e17f4ebba575b3f5f5a8fa1f69c2a07f6e7500bc60ca6e3e3ec1c91"),
    nonce=bytes.fromhex("5c4d98150661b848853b547f"),
)

# ---------------------------------------------------------------- what is inside
agreed = Agreement(fixed("ephemeral") + draw("pqpk", 32))
chain = first_chain(agreed.root, fixed("alice ratchet") + fixed("alice ratchet kem", 64))
message = chain.message(agreed.ad, 0, b"hello, Bob", fixed("salt", 16), agreed.part)[:200]
inside = lambda message: u32(1) + long(alice.list) + alice.list_signature + long(message)
parsed = dict(device=1, list=alice.list, signature=alice.list_signature)
OVERHEAD = 4 + 1120 + 16
room = lambda kib: kib * 1024 - OVERHEAD
pad = lambda inner, kib=6: inner + bytes(room(kib) - len(inner))
inner = inside(message)
padded = pad(inner)
# Bytes that are left for the message in a box.
left = lambda kib: room(kib) - len(inside(b""))
vector("sealing", "sealing", bytes=padded, **parsed, message=message)
full = fixed("a full box", left(6))
vector("sealing that leaves no padding", "sealing", bytes=inside(full), **parsed, message=full)
above = fixed("a full box and more", left(6) + 1)
vector("sealing of the second size", "sealing", bytes=pad(inside(above), 16), **parsed, message=above)
vector("sealing of an empty message", "sealing", bytes=pad(inside(b"")), **parsed, message=b"")
for why, b in [
    ("padding that is not zero", padded[:-1] + b"\x01"),
    ("it would have fitted a smaller box", padded + bytes(10 * 1024)),
    ("a length beyond the end", u32(1) + u32(70_000) + padded[8:]),
    ("no box's size", padded[:-1]),
    ("padding whose first byte is not zero", flip(padded, len(inner))),
    (
        "a message beyond the end",
        u32(1) + long(alice.list) + alice.list_signature + u32(room(6)) + bytes(room(6) - len(inside(b""))),
    ),
    ("the highest length", u32(1) + u32(2**32 - 1) + padded[8:]),
    ("a byte more than a box", padded + b"\0"),
    ("empty", b""),
]:
    refused("sealing", why, "sealing", bytes=b)
for length, size in [(0, 6), (left(6), 6), (left(6) + 1, 16), (left(16), 16), (left(16) + 1, 60), (left(60), 60)]:
    vector(
        f"a message of {length} bytes takes a box of {size} KiB",
        "box-size",
        list=alice.list,
        message_length=length,
        size=size * 1024,
    )
refused("a message", "it fits no box", "box-size", list=alice.list, message_length=left(60) + 1)

# ---------------------------------------------------------------- boxes
envelope, key_id = fixed("envelope", 16), 55
mailbox = lambda device: sha256(label("mailbox") + device[4:36])[:16]
info = lambda device=bob.device, number=key_id, version=1: label("sealed box") + u16(version) + device + u32(number)
aad = (
    lambda eid=envelope, device=bob.device, number=key_id, name="envelope": label(name)
    + mailbox(device)
    + u32(number)
    + eid
)


def boxed(plaintext, number=key_id, encapsulated=enc, shared=box_shared, its_info=None, its_aad=None):
    key, nonce = key_schedule(SUITE, shared, its_info or info(number=number))
    return u32(number) + encapsulated + seal(key, nonce, plaintext, its_aad or aad(number=number))


box = boxed(padded)
signed_box = bob.prekey(5, key_id, box_public)
mine = dict(
    device_seed=bob.device_seed,
    identity=bob.identity,
    box_seed=box_seed,
    box_key=signed_box[0],
    box_key_signature=signed_box[1],
)
vector("sealed box", "sealed-box", **mine, device=bob.device, envelope=envelope, bytes=box, sealing=inner)
vector(
    "sealed box without padding",
    "sealed-box",
    **mine,
    device=bob.device,
    envelope=envelope,
    bytes=boxed(inside(full)),
    sealing=inside(full),
)
vector(
    "sealed box of the second size",
    "sealed-box",
    **mine,
    device=bob.device,
    envelope=envelope,
    bytes=boxed(pad(inside(above), 16)),
    sealing=inside(above),
)
nope = lambda why, b, device=bob.device, eid=envelope: refused(
    "sealed box", why, "sealed-box", **mine, device=device, envelope=eid, bytes=b
)
nope("another envelope id", box, eid=fixed("other", 16))
nope("another device id", box, device=u32(2) + bob.device[4:])
nope("another device key", box, device=bob.device[:4] + alice.device_key + bob.device[36:])
nope("another identity key", box, device=bob.device[:36] + alice.device[36:])
nope("a flipped bit in enc", flip(box, 50, 2))
nope("a flipped bit in the X25519 half of enc", flip(box, 1100, 2))
nope("a flipped bit in the ciphertext", flip(box, 3000, 2))
nope("a flipped bit in the tag", flip(box, -1, 2))
nope("a length that is no box's", box + b"\0")
nope("cut short", box[:-1])
nope("empty", b"")
nope("key id 0", u32(0) + box[4:])
# Sealed as said: only what stands in the name is wrong.
nope("another key's id", boxed(padded, number=56))
nope("info of another version", boxed(padded, its_info=info(version=2)))
nope("info for another device", boxed(padded, its_info=info(device=alice.device)))
nope("info with another label", boxed(padded, its_info=label("session") + info()[len(label("sealed box")) :]))
nope("another mailbox", boxed(padded, its_aad=aad(device=alice.device)))
nope("aad with another label", boxed(padded, its_aad=aad(name="mailbox")))
nope("an X25519 half of low order", boxed(padded, encapsulated=low_enc, shared=low_shared))
nope("padding that is not zero", boxed(padded[:-1] + b"\1"))
nope("it would have fitted a smaller box", boxed(pad(inner, 16)))
nope("a length inside beyond the end", boxed(u32(1) + u32(70_000) + padded[8:]))
