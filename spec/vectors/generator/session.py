"""PQXDH and the ratchet, as far as making messages takes: whoever makes vectors knows all secrets of both sides."""

import hmac

from .notation import dh, encaps, fixed, hkdf, k_public, label, long, seal, sha256, u8, u16, u32, x_public
from .people import alice, bob, opk, opk_secret, pqpk, pqpk_seed, spk, spk_secret

PQXDH = label("pqxdh X25519 ML-KEM-768 HKDF-SHA256 ChaCha20-Poly1305")


def root_key(parts, kem):
    return hkdf(bytes(32), b"\xff" * 32 + b"".join(parts) + kem, PQXDH, 32)


def bundle_hash(signed, one_time, kem):
    key = lambda pair: long(pair[0]) + pair[1]
    middle = u8(1) + key(one_time) if one_time else u8(0)
    return sha256(label("prekey bundle") + key(signed) + middle + key(kem))


def pqxdh_part(ephemeral, one_time, kem, ciphertext):
    """`one_time`, `kem`: prekeys as (body, signature), the first perhaps none."""
    return ephemeral + spk[0][1:5] + (one_time[0][1:5] if one_time else u32(0)) + kem[0][:5] + ciphertext


def associated(bundle, part, initiator=alice.party(), recipient=bob.party()):
    return sha256(label("session") + u16(1) + initiator + recipient + bundle + part)


def step(chain):
    return hmac.new(chain, b"\x02", "sha256").digest(), hmac.new(chain, b"\x01", "sha256").digest()


class Agreement:
    """What Alice makes of Bob's bundle: PQXDH part, SK and AD."""

    def __init__(self, drawn, one_time=opk, kem=pqpk, initiator=alice, ephemeral=None):
        self.secret, randomness = drawn[:32], drawn[32:]
        shared, ciphertext = encaps(k_public(pqpk_seed), randomness)
        self.part = pqxdh_part(ephemeral or x_public(self.secret), one_time, kem, ciphertext)
        parts = [
            dh(initiator.identity, x_public(spk_secret)),
            dh(self.secret, x_public(bob.identity)),
            dh(self.secret, x_public(spk_secret)),
        ]
        if one_time:
            parts.append(dh(self.secret, x_public(opk_secret)))
        if ephemeral:
            # What Bob computes with a key of low order, were he to take it.
            parts[1:] = [dh(bob.identity, ephemeral), dh(spk_secret, ephemeral)] + (
                [dh(opk_secret, ephemeral)] if one_time else []
            )
        self.shared = shared
        self.root = root_key(parts, shared)
        self.bundle = bundle_hash(spk, one_time, kem)
        self.ad = associated(self.bundle, self.part, initiator=initiator.party())


class Chain:
    """A chain of messages, from the root before it and the key of the peer that it is made to."""

    def __init__(self, root, drawn, peer, peer_kem=None, public=None, kem=None):
        """`peer_kem`: none for a session's first chain. `public`, `kem`: what is said instead of the keys that were drawn."""
        self.secret, self.seed = drawn[:32], drawn[32:96]
        self.public, self.kem = public or x_public(self.secret), kem or k_public(self.seed)
        agreed = bytes(32) if public == bytes(32) else dh(self.secret, peer)
        if peer_kem is None:
            self.ciphertext = b""
            both = hkdf(root, agreed, label("first chain") + sha256(self.public + self.kem + peer), 64)
        else:
            self.shared, self.ciphertext = encaps(peer_kem, drawn[96:128])
            transcript = sha256(self.public + self.kem + self.ciphertext + peer + peer_kem)
            both = hkdf(root, agreed + self.shared, label("hybrid ratchet") + transcript, 64)
        self.root, self.key = both[:32], both[32:]
        self.agreed = agreed

    def header(self, number, salt, part=b"", previous=0, parts=None):
        kinds = u8(parts if parts is not None else 1 if part else 2)
        return u8(1) + kinds + part + self.public + self.kem + self.ciphertext + u32(previous) + u32(number) + salt

    def message(self, ad, number, plaintext, salt, part=b"", previous=0, header=None):
        """The message with this number; `header`: another one than the right one, under a tag that is right for it."""
        key = self.key
        for _ in range(number + 1):
            key, message_key = step(key)
        both = hkdf(salt, message_key, label("message"), 44)
        header = header or self.header(number, salt, part, previous)
        return header + seal(both[:32], both[32:], plaintext, ad + header)


def first_chain(root, drawn, **said):
    return Chain(root, drawn, x_public(spk_secret), **said)


def draw(name, n):
    return fixed(f"drawn {name}", n)
