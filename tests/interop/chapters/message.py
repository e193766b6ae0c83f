"""spec/message.md: PQXDH, the hybrid ratchet, sessions, sealed boxes. A step takes a state and returns the next one."""

import copy
import hashlib
from dataclasses import dataclass, field

from .account import bundle_hash, prekey
from .primitive import (
    LABELS,
    Layout,
    aead_open,
    aead_seal,
    check,
    hkdf,
    hkdf_expand,
    kem_check,
    kem_decapsulate,
    kem_encapsulate,
    kem_public,
    le,
    mac,
    sha256,
    x25519,
    x25519_public,
)

MAX_JUMP, MAX_SKIPPED, SKIPPED_DAYS = 1000, 2000, 35


def root_key(agreements, shared):
    return hkdf(bytes(32), b"\xff" * 32 + b"".join(agreements) + shared, LABELS["PQXDH"], 32)


def session_id(part):
    return sha256(LABELS["SESSION_ID"], part)


def chain_id(public, kem, ciphertext):
    return sha256(public, kem, ciphertext)


def associated_data(initiator, recipient, bundle, part):
    return sha256(LABELS["SESSION"], le(1, 2), initiator, recipient, bundle, part)


def first_chain(root, agreed, public, kem, prekey_public):
    both = hkdf(root, agreed, LABELS["FIRST_CHAIN"] + sha256(public, kem, prekey_public), 64)
    return both[:32], both[32:]


def later_chain(root, agreed, shared, public, kem, ciphertext, peer, peer_kem):
    both = hkdf(root, agreed + shared, LABELS["RATCHET"] + sha256(public, kem, ciphertext, peer, peer_kem), 64)
    return both[:32], both[32:]


def chain_step(chain):
    return mac(chain, b"\x02"), mac(chain, b"\x01")


def message_key(key, salt):
    both = hkdf(salt, key, LABELS["MESSAGE"], 44)
    return both[:32], both[32:]


# ---------------------------------------------------------------- layouts
class Part:
    """The PQXDH part."""

    def __init__(self, layout):
        start = layout.at
        self.ephemeral, self.spk, self.opk = layout.take(32), layout.number(4), layout.number(4)
        self.role, self.pqpk, self.ciphertext = layout.number(1), layout.number(4), layout.take(1088)
        self.bytes = layout.data[start : layout.at]
        check(self.spk and self.pqpk and self.role in (3, 4))

    def remembered(self):
        return sha256(self.ephemeral, self.ciphertext)


class Message:
    """A session message taken apart."""

    def __init__(self, data):
        layout = Layout(data)
        version, parts = layout.number(1), layout.number(1)
        check(version == 1 and parts in (1, 2))
        self.part = Part(layout) if parts == 1 else None
        self.public, self.kem = layout.take(32), layout.take(1184)
        self.ciphertext = layout.take(1088) if parts == 2 else b""
        self.previous, self.number, self.salt = layout.number(4), layout.number(4), layout.take(16)
        self.header = data[: layout.at]
        self.sealed = layout.rest()
        check(len(self.sealed) >= 16)
        self.chain = chain_id(self.public, self.kem, self.ciphertext)

    def open(self, key, ad):
        key, nonce = message_key(key, self.salt)
        return aead_open(key, nonce, self.sealed, ad + self.header)


# ---------------------------------------------------------------- sessions
class Drawn:
    """What a step draws, in its order."""

    def __init__(self, data):
        self.layout = Layout(data)

    def take(self, length):
        return self.layout.take(length)

    def end(self):
        self.layout.end()


@dataclass
class Session:
    """One side. `peer`: the peer's (B, ek_B), ek_B being empty where B is the signed prekey."""

    ad: bytes
    part: bytes
    initiated: bool
    root: bytes
    peer: tuple
    own: tuple = None  # secret a', KEM seed, A', ek', ct
    sending: tuple = None  # chain key, next number
    previous: int = 0
    receiving: tuple = None  # chain id, chain key, next number
    skipped: dict = field(default_factory=dict)  # (chain id, number) -> message key and its day, oldest first
    day: int = 0


def two_devices(own, secret, peer):
    """Own device and peer are two, and the secret is that of the own one."""
    seed_public, identity = secret
    check(own[-64:-32] != peer[-64:-32] and own[-32:] != peer[-32:])
    check(own[-64:] == seed_public + x25519_public(identity))


def initiate(own, secret, peer, keys, drawn):
    """`keys`: Bob's `spk`, perhaps `opk`, `pqpk`, as (body, signature)."""
    two_devices(own, secret, peer)
    ephemeral, randomness = drawn.take(32), drawn.take(32)
    spk, opk, pqpk = prekey(keys["spk"][0]), keys["opk"] and prekey(keys["opk"][0]), prekey(keys["pqpk"][0])
    shared, ciphertext = kem_encapsulate(pqpk[3], randomness)
    agreements = [x25519(secret[1], spk[3]), x25519(ephemeral, peer[-32:]), x25519(ephemeral, spk[3])]
    agreements += [x25519(ephemeral, opk[3])] if opk else []
    part = (
        x25519_public(ephemeral)
        + le(spk[1], 4)
        + le(opk[1] if opk else 0, 4)
        + le(pqpk[0], 1)
        + le(pqpk[1], 4)
        + ciphertext
    )
    ad = associated_data(own, peer, bundle_hash(keys["spk"], keys["opk"], keys["pqpk"]), part)
    return Session(ad, part, True, root_key(agreements, shared), (spk[3], b""))


def accept(own, secret, peer, keys, secrets, data):
    """`secrets`: those of Bob's keys. The session and the plaintext of the message."""
    two_devices(own, secret, peer)
    message = Message(data)
    part = message.part
    check(part)
    spk, opk, pqpk = prekey(keys["spk"][0]), keys["opk"] and prekey(keys["opk"][0]), prekey(keys["pqpk"][0])
    check((part.spk, part.opk, part.role, part.pqpk) == (spk[1], opk[1] if opk else 0, pqpk[0], pqpk[1]))
    agreements = [
        x25519(secrets["spk"], peer[-32:]),
        x25519(secret[1], part.ephemeral),
        x25519(secrets["spk"], part.ephemeral),
    ]
    agreements += [x25519(secrets["opk"], part.ephemeral)] if opk else []
    root = root_key(agreements, kem_decapsulate(secrets["pqpk"], part.ciphertext))
    ad = associated_data(peer, own, bundle_hash(keys["spk"], keys["opk"], keys["pqpk"]), part.bytes)
    check(message.previous == 0)
    kem_check(message.kem)
    root, chain = first_chain(root, x25519(secrets["spk"], message.public), message.public, message.kem, spk[3])
    begun = Session(ad, part.bytes, False, root, (message.public, message.kem), receiving=(message.chain, chain, 0))
    return decrypt(begun, data)


def encrypt(session, plaintext, drawn):
    now = copy.deepcopy(session)
    if now.sending is None:
        secret, seed = drawn.take(32), drawn.take(64)
        public, kem = x25519_public(secret), kem_public(seed)
        peer, peer_kem = now.peer
        if peer_kem:
            shared, ciphertext = kem_encapsulate(peer_kem, drawn.take(32))
            # What the peer will find: of another author's ML-KEM.
            now.root, chain = later_chain(
                now.root, x25519(secret, peer), shared, public, kem, ciphertext, peer, peer_kem
            )
        else:
            ciphertext = b""
            now.root, chain = first_chain(now.root, x25519(secret, peer), public, kem, peer)
        now.own, now.sending = (secret, seed, public, kem, ciphertext), (chain, 0)
    chain, number = now.sending
    chain, key = chain_step(chain)
    salt = drawn.take(16)
    first = now.receiving is None
    header = (
        b"\1"
        + (b"\1" + now.part if first else b"\2")
        + b"".join(now.own[2:])
        + le(now.previous, 4)
        + le(number, 4)
        + salt
    )
    now.sending = (chain, number + 1)
    key, nonce = message_key(key, salt)
    return now, header + aead_seal(key, nonce, plaintext, now.ad + header)


def skip(now, chain, key, number, until):
    """Keeps the keys before `until`; the chain key there."""
    for at in range(number, until):
        key, kept = chain_step(key)
        now.skipped[chain, at] = kept, now.day
    return key


def wait(session, days):
    """So many days later."""
    now = copy.deepcopy(session)
    now.day += days
    now.skipped = {name: kept for name, kept in now.skipped.items() if now.day - kept[1] < SKIPPED_DAYS}
    return now


def decrypt(session, data):
    message = Message(data)
    check(message.part is None or not session.initiated and message.part.bytes == session.part)
    now = copy.deepcopy(session)
    kept = now.skipped.pop((message.chain, message.number), None)
    if kept:
        return now, message.open(kept[0], now.ad)
    if now.receiving and now.receiving[0] == message.chain:
        chain, key, number = now.receiving
        check(0 <= message.number - number <= MAX_JUMP)
    else:
        check(now.own and message.ciphertext)
        chain, key, read = now.receiving or (None, None, 0)
        missed = message.previous - read
        check(missed >= 0 and missed + message.number <= MAX_JUMP and (now.receiving or message.previous == 0))
        kem_check(message.kem)
        secret, seed, public, kem, _ = now.own
        agreed, shared = x25519(secret, message.public), kem_decapsulate(seed, message.ciphertext)
        if chain:
            skip(now, chain, key, read, message.previous)
        now.root, key = later_chain(
            now.root, agreed, shared, message.public, message.kem, message.ciphertext, public, kem
        )
        now.peer, now.own = (message.public, message.kem), None
        now.previous, now.sending = now.sending[1], None
        number = 0
    key = skip(now, message.chain, key, number, message.number)
    key, its_key = chain_step(key)
    now.receiving = (message.chain, key, message.number + 1)
    plaintext = message.open(its_key, now.ad)
    for oldest in list(now.skipped)[: max(0, len(now.skipped) - MAX_SKIPPED)]:
        del now.skipped[oldest]
    return now, plaintext


# ---------------------------------------------------------------- sealed boxes
SIZES = [6 * 1024, 16 * 1024, 60 * 1024]
OVERHEAD = 4 + 1120 + 16
SUITE = b"HPKE" + bytes.fromhex("647a00010003")


def box_size(length):
    """Of the smallest box that this many bytes of a sealing fit."""
    fitting = [size for size in SIZES if length + OVERHEAD <= size]
    check(fitting)
    return fitting[0]


def sealing(data):
    """Device id, list, signature, message; and the bytes before the padding."""
    layout = Layout(data)
    parsed = layout.number(4), layout.long(), layout.take(64), layout.long()
    used = layout.at
    check(not any(layout.rest()) and len(data) + OVERHEAD == box_size(used))
    return parsed, data[:used]


def x_wing_public(seed):
    wide = hashlib.shake_256(seed).digest(96)
    return kem_public(wide[:64]) + x25519_public(wide[64:])


def x_wing_decapsulate(seed, ciphertext):
    wide = hashlib.shake_256(seed).digest(96)
    agreed = x25519(wide[64:], ciphertext[1088:])
    shared = kem_decapsulate(wide[:64], ciphertext[:1088])
    return hashlib.sha3_256(shared + agreed + ciphertext[1088:] + x25519_public(wide[64:]) + rb"\.//^" + b"\\").digest()


def key_schedule(suite, shared, info):
    """RFC 9180 section 5.1, mode base: key and nonce of the first message."""
    extract = lambda salt, label, ikm: mac(salt, b"HPKE-v1", suite, label, ikm)
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared, b"secret", b"")
    wide = lambda label, length: hkdf_expand(
        secret, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + context, length
    )
    return wide(b"key", 32), wide(b"base_nonce", 12)


def mailbox(device_key):
    return sha256(LABELS["MAILBOX"], device_key)[:16]


def open_box(number, seed, device, envelope, data):
    """`number`: id of the box key; `device`: the recipient's layout. The bytes of the sealing before its padding."""
    check(len(data) in SIZES)
    layout = Layout(data)
    said, enc, sealed = layout.number(4), layout.take(1120), layout.rest()
    check(said == number)
    info = LABELS["SEALED_BOX"] + le(1, 2) + device + le(number, 4)
    key, nonce = key_schedule(SUITE, x_wing_decapsulate(seed, enc), info)
    aad = LABELS["ENVELOPE"] + mailbox(device[4:36]) + le(number, 4) + envelope
    return sealing(aead_open(key, nonce, sealed, aad))[1]
