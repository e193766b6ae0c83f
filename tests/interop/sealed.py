"""The sealed box against two other implementations of HPKE with X-Wing.

One is that of `cryptography`: it seals what the port must open, with randomness of its own, and opens what the port
sealed. The other is written here from RFC 9180 and draft-connolly-cfrg-xwing-kem over kyber-py: given the port's
randomness, it makes the port's bytes.
"""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

from handshake import BOX, LAST_RESORT, Person, encapsulate, label, sha256, x25519, x25519_public
from port import Refused, walk
from pqxdh import LOW_ORDER, hexed, not_canonical

SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SIZES = [6 * 1024, 16 * 1024, 60 * 1024]
OVERHEAD = 4 + 1120 + 16


class Address:
    """What a box is bound to."""

    def __init__(self, device, number, envelope, **lies):
        mailbox = lies.get("mailbox", sha256(label(b"mailbox"), device[4:36])[:16])
        key = struct.pack("<I", number)
        self.number, self.device, self.envelope = key, device, envelope
        self.info = label(lies.get("label", b"sealed box")) + lies.get("version", b"\1\0") + device + key
        self.aad = label(lies.get("aad", b"envelope")) + mailbox + key + envelope


# HPKE of `cryptography`. `Suite` itself takes no associated data; its own tests call these two functions for it.


def private_key(seed):
    wide = hashlib.shake_256(seed).digest(96)
    return MLKEM768X25519PrivateKey(
        MLKEM768PrivateKey.from_seed_bytes(wide[:64]), X25519PrivateKey.from_private_bytes(wide[64:])
    )


def their_box(seed, address, plaintext):
    public = private_key(seed).public_key()
    return address.number + openssl.hpke._encrypt_with_aad(SUITE, plaintext, public, address.info, address.aad)


def their_plaintext(seed, address, box):
    if box[:4] != address.number:
        raise Refused
    try:
        return openssl.hpke._decrypt_with_aad(SUITE, box[4:], private_key(seed), address.info, address.aad)
    except (InvalidTag, ValueError):
        raise Refused from None


# HPKE from the RFC


def key_and_nonce(shared, info):
    """KeySchedule of mode base, RFC 9180 section 5.1."""
    suite = b"HPKE" + struct.pack(">HHH", 0x647A, 0x0001, 0x0003)

    def extract(salt, name, material):
        return hmac.digest(salt, b"HPKE-v1" + suite + name + material, "sha256")

    secret = extract(shared, b"secret", b"")
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)

    def expand(name, length):
        info = struct.pack(">H", length) + b"HPKE-v1" + suite + name + context
        # No more than one block is asked for.
        return hmac.digest(secret, info + b"\1", "sha256")[:length]

    return expand(b"key", 32), expand(b"base_nonce", 12)


def our_box(public, address, plaintext, random, point=None):
    """X-Wing's EncapsulateDerand, and one message. One who lies sends a point of small order."""
    ciphertext, shared = encapsulate(public[:1184], random[:32])
    ephemeral, agreed = point, bytes(32)
    if point is None:
        ephemeral, agreed = x25519_public(random[32:]), x25519(random[32:], public[1184:])
    shared = hashlib.sha3_256(shared + agreed + ephemeral + public[1184:] + b"\\.//^\\").digest()
    key, nonce = key_and_nonce(shared, address.info)
    return address.number + ciphertext + ephemeral + ChaCha20Poly1305(key).encrypt(nonce, plaintext, address.aad)


# What is in a box


def sealing(sender, message):
    (device,) = struct.unpack_from("<I", sender.party.device)
    return struct.pack("<I", device) + sender.list.hashed() + struct.pack("<I", len(message)) + message


def padded(data):
    size = min(size for size in SIZES if size >= len(data) + OVERHEAD)
    return data.ljust(size - OVERHEAD, b"\0")


def peer(port, tally, dice):
    seed, number, envelope = dice.randbytes(32), dice.randrange(1, 1 << 32), dice.randbytes(16)
    made = {"alice": dice.randbytes(96), "bob": dice.randbytes(96)}
    alice, bob = Person("alice", made["alice"]), Person("bob", made["bob"])
    key = bob.makes(BOX, number, 1, seed)
    for name, random in made.items():
        port.ask("person", as_=name, random=random)
    port.ask("prekey", person="bob", role=BOX, id=number, made_at=1, random=seed)
    address = Address(bob.party.device, number, envelope)

    def seal(message, random, **other):
        fields = {"recipient": bob.listed(), "box_key": key.signed.wire(), "envelope": envelope, **other}
        return port.bytes("sealed", "seal", person="alice", message=message, random=random, **fields)

    def opened(box, person="bob", envelope=envelope, **other):
        answer = port.ask("open", person=person, envelope=envelope, sealed=box, **other)
        return answer["sender"], bytes.fromhex(answer["message"])

    sender = {"list": hexed(alice.list), "device": alice.listed()["device"]}

    # Both ways, at the least and the greatest length of each size.
    spent = len(sealing(alice, b"")) + OVERHEAD
    for length in [0, *(size - spent + more for size in SIZES[:2] for more in (0, 1)), SIZES[2] - spent]:
        message, random = dice.randbytes(length), dice.randbytes(64)
        plaintext = padded(sealing(alice, message))
        box = seal(message, random)
        tally.same(f"a box of {len(box)} bytes", our_box(key.public, address, plaintext, random), box)
        tally.same("a box of ours, opened by `cryptography`", plaintext, their_plaintext(seed, address, box))
        theirs = their_box(seed, address, plaintext)
        tally.same("a box of `cryptography`, opened by us", (sender, message), opened(theirs))
        tally.same("both have one length", len(box), len(theirs))
    tally.refused("a message that fits no box", seal, bytes(SIZES[2] - spent + 1), dice.randbytes(64))

    # Where and with what it may not be opened; each neighbour has the same secrets and differs in one thing.
    message = dice.randbytes(100)
    plaintext = padded(sealing(alice, message))
    box = their_box(seed, address, plaintext)
    tally.refused("a box under another envelope id", opened, box, envelope=dice.flipped(envelope))
    port.ask("person", as_="bob's other device", name="bob", device=2, random=made["bob"])
    port.ask("prekey", person="bob's other device", role=BOX, id=number, made_at=1, random=seed)
    tally.refused("a box on a device of another id", opened, box, person="bob's other device")
    changed = made["bob"][:64] + dice.randbytes(32)
    port.ask("person", as_="bob's other device", name="bob", random=changed)
    port.ask("prekey", person="bob's other device", role=BOX, id=number, made_at=1, random=seed)
    tally.refused("a box on a device of another identity key", opened, box, person="bob's other device")
    other = number % 0xFFFFFFFF + 1
    port.ask("prekey", person="bob", role=BOX, id=other, made_at=1, random=seed)
    tally.refused("a box that names another id of its key", opened, struct.pack("<I", other) + box[4:])
    tally.refused("a box opened under another id of its key", opened, box, box_key=other)
    port.ask("prekey", person="bob", role=BOX, id=other, made_at=1, random=dice.randbytes(32))
    to_other = Address(bob.party.device, other, envelope)
    tally.refused("a box to another key than it names", opened, their_box(seed, to_other, plaintext))
    tally.refused("a box that names no key", opened, bytes(4) + box[4:])
    for what, lies in [
        ("for another mailbox", {"mailbox": dice.randbytes(16)}),
        ("of another version", {"version": b"\2\0"}),
        ("with another label in its info", {"label": b"envelope"}),
        ("with another label in its associated data", {"aad": b"sealed box"}),
    ]:
        lie = Address(bob.party.device, number, envelope, **lies)
        wrong = their_box(seed, lie, plaintext)
        tally.same(f"a box {what} opens where it belongs", plaintext, their_plaintext(seed, lie, wrong))
        tally.refused(f"a box {what}", opened, wrong)

    # Altered on the way.
    end = len(box)
    fields = {
        "id": (0, 4),
        "KEM ciphertext": (4, 1092),
        "point": (1092, 1124),
        "ciphertext": (1124, end - 16),
        "tag": (end - 16, end),
    }
    for what, (start, end) in fields.items():
        # The highest bit of a point is not looked at when it is used, and still belongs to what the key is made of.
        for altered in (dice.flipped(box, start, end), box[: end - 1] + bytes([box[end - 1] ^ 0x80]) + box[end:]):
            tally.refused(f"a box with another {what}", opened, altered)
            tally.refused(f"a box with another {what} (here)", their_plaintext, seed, address, altered)
    for length in (0, 4, 1124, len(box) - 1, SIZES[1]):
        tally.refused("a box of another length", opened, box[:length].ljust(length, b"\0"))
    for point in LOW_ORDER:
        weak = our_box(key.public, address, plaintext, dice.randbytes(64), point)
        tally.refused("a box with a point of low order", opened, weak)
        tally.refused("a box with a point of low order (here)", their_plaintext, seed, address, weak)

    # Sealed well, and not what may be in a box.
    inside = sealing(alice, message)
    for what, wrong in [
        ("padding that is not zero", plaintext[:-1] + b"\1"),
        ("more padding than it needs", inside.ljust(SIZES[1] - OVERHEAD, b"\0")),
        ("a message longer than the box", padded(inside[: -len(message) - 4] + struct.pack("<I", SIZES[0]) + message)),
        ("a list longer than the box", padded(inside[:4] + b"\xff\xff\xff\xff" + inside[8:])),
    ]:
        wrong = their_box(seed, address, wrong)
        tally.refused(f"a box with {what}", opened, wrong)

    # Keys that nobody seals to.
    random = dice.randbytes(64)

    def to(public):
        return {"box_key": bob.certifies(BOX, number, 1, public).signed.wire()}

    kem, curve = key.public[:1184], key.public[1184:]
    tally.same(
        "a key that is signed anew",
        our_box(key.public, address, plaintext, random),
        seal(message, random, **to(key.public)),
    )
    tally.refused("a box key that is not canonical", seal, message, random, **to(not_canonical(kem, dice) + curve))
    for point in LOW_ORDER:
        tally.refused("a box key of low order", seal, message, random, **to(kem + point))
    wrong = bob.makes(LAST_RESORT, number, 1, dice.randbytes(64)).signed.wire()
    tally.refused("a key of another role", seal, message, random, box_key=wrong)
    wrong = {"body": key.signed.body, "signature": dice.flipped(key.signed.signature)}
    tally.refused("a box key with another signature", seal, message, random, box_key=wrong)
    tally.refused("a box key of another device", seal, message, random, recipient=alice.listed())


if __name__ == "__main__":
    walk(peer, seeds=8)
