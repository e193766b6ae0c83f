"""Safety numbers, fingerprints and the vault, written again after spec/account.md and crypto/src/vault.rs.

Argon2id is the reference implementation (argon2-cffi), XChaCha20-Poly1305 is libsodium (PyNaCl), HKDF is that of
`cryptography`.
"""

import base64
import hashlib
import hmac
import struct

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl import bindings
from nacl.exceptions import CryptoError

from port import Refused, walk


def label(text):
    return b"sealpost/1 " + text + b"\0"


def short(data):
    return bytes([len(data)]) + data


def hkdf(material, info):
    return HKDF(hashes.SHA256(), 32, bytes(32), info).derive(material)


# What people compare


def half(name, key):
    digest = hashlib.sha512(label(b"safety number") + b"\1\0" + key + short(name.encode()) + key).digest()
    for _ in range(5199):
        digest = hashlib.sha512(digest + key).digest()
    return "".join(f"{int.from_bytes(digest[at : at + 5], 'big') % 100_000:05}" for at in range(0, 30, 5))


def fingerprint(key):
    return base64.b32encode(hashlib.sha256(label(b"fingerprint") + key).digest()).decode().lower().rstrip("=")


def compared(port, tally, dice):
    names = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=dice.randint(2, 32))) for _ in range(2)]
    keys = []
    for name in names:
        entropy = dice.randbytes(32)
        person = port.ask("person", as_=name, name=name, random=entropy + dice.randbytes(64))
        seed = Ed25519PrivateKey.from_private_bytes(hkdf(entropy, label(b"recovery words")))
        keys.append(seed.public_key().public_bytes_raw())
        tally.same("an account's key comes from its entropy", keys[-1].hex(), person["account"])
        device = bytes.fromhex(person["device-key"])
        tally.same("a mailbox", hashlib.sha256(label(b"mailbox") + device).hexdigest()[:32], person["mailbox"])
        port.ask("forget", person=name)
    one, other = ({"name": name, "account": key} for name, key in zip(names, keys))
    number = "".join(sorted(map(half, names, keys)))
    answer = port.ask("safety-number", one=one, other=other)
    tally.same("a safety number", number, answer["number"])
    tally.same("as it is shown", " ".join(number[at : at + 5] for at in range(0, 60, 5)), answer["shown"])
    tally.same("fingerprints", [fingerprint(key) for key in keys], answer["fingerprints"])
    tally.same("the number from the other side", number, port.ask("safety-number", one=other, other=one)["number"])
    twin = {"name": names[0], "account": dice.flipped(keys[0])}
    tally.holds("another key has another number", port.ask("safety-number", one=twin, other=other)["number"] != number)


# The vault


class Vault:
    """An unlocked one: what crypto/src/vault.rs says of rows."""

    def __init__(self, storage, profile):
        self.storage, self.profile = storage, profile
        self.rows, self.blinding = hkdf(storage, label(b"vault rows")), hkdf(storage, label(b"vault blind"))

    def blind(self, table, key):
        return hmac.digest(self.blinding, short(table.encode()) + key, "sha256")

    def associated(self, table, key, kind):
        return label(kind) + self.profile + short(table.encode()) + key

    def seal(self, table, key, row, nonce, kind=b"vault row"):
        padded = struct.pack("<I", len(row)) + row
        room = max(64, 1 << (len(padded) - 1).bit_length()) if len(padded) <= 512 else -(-len(padded) // 1024) * 1024
        return nonce + seal(self.rows, nonce, self.associated(table, key, kind), padded.ljust(room, b"\0"))

    def open(self, table, key, sealed, kind=b"vault row"):
        padded = opened(self.rows, sealed[:24], self.associated(table, key, kind), sealed[24:])
        (length,) = struct.unpack_from("<I", padded)
        return padded[4 : 4 + length]


def seal(key, nonce, associated, plaintext):
    return bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated, nonce, key)


def opened(key, nonce, associated, sealed):
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, associated, nonce, key)
    except CryptoError:
        raise Refused from None


def wrapping_key(passphrase, salt, cost):
    passes, lanes = cost["passes"], cost["lanes"]
    argon2id = hash_secret_raw(passphrase.encode(), salt, passes, cost["memory"], lanes, 32, Type.ID, version=0x13)
    return hkdf(argon2id, label(b"vault header"))


def header(vault, passphrase, cost, salt, nonce, magic=b"SPVAULT1"):
    costs = struct.pack("<III", cost["memory"], cost["passes"], cost["lanes"])
    authenticated = magic + costs + salt + vault.profile
    return authenticated + nonce + seal(wrapping_key(passphrase, salt, cost), nonce, authenticated, vault.storage)


def unlocked(head, passphrase):
    memory, passes, lanes = struct.unpack_from("<III", head, 8)
    cost = {"memory": memory, "passes": passes, "lanes": lanes}
    key = wrapping_key(passphrase, head[20:36], cost)
    return Vault(opened(key, head[52:76], head[:52], head[76:]), head[36:52])


LEAST = {"memory": 19 * 1024, "passes": 2, "lanes": 1}


def rows(port, tally, dice, vault, name):
    """Rows of every size class, made there and here."""
    for length in [0, 1, 60, 61, 508, 509, 1020, 1021, dice.randrange(5000)]:
        table, key, row, nonce = (
            dice.choice(["mail", "sessions", "x" * 63]),
            dice.randbytes(9),
            dice.randbytes(length),
            dice.randbytes(24),
        )
        blinded = vault.blind(table, key)
        tally.same("a blinded key", blinded, port.bytes("key", "vault-blind", vault=name, table=table, key=key))
        mine = vault.seal(table, blinded, row, nonce)
        place = {"vault": name, "table": table, "key": blinded}
        tally.same("a row", mine, port.bytes("sealed", "vault-seal", row=row, random=nonce, **place))
        tally.same("a row of ours opens there", row, port.bytes("row", "vault-open", sealed=mine, **place))
        tally.same("a row of theirs opens here", row, vault.open(table, blinded, mine))
        for what, elsewhere in [
            ("a row in another table", {**place, "table": table + "s"}),
            ("a row under another key", {**place, "key": dice.flipped(blinded)}),
            ("an altered row", {**place, "sealed": dice.flipped(mine)}),
            ("a row cut short", {**place, "sealed": mine[:-1]}),
            (
                "a row of another profile",
                {**place, "sealed": Vault(vault.storage, bytes(16)).seal(table, blinded, row, nonce)},
            ),
            ("a row that holds a secret", {**place, "sealed": vault.seal(table, blinded, row, nonce, b"vault secret")}),
        ]:
            tally.refused(what, port.ask, "vault-open", **{"sealed": mine, **elsewhere})
        for what, spoilt in [
            ("a length beyond the row", struct.pack("<I", 61) + bytes(60)),
            ("padding that is not zero", struct.pack("<I", 1) + bytes(58) + b"\1\0"),
        ]:
            associated = vault.associated(table, blinded, b"vault row")
            tally.refused(
                what, port.ask, "vault-open", **{**place, "sealed": nonce + seal(vault.rows, nonce, associated, spoilt)}
            )


def kept(port, tally, dice):
    passphrase = "".join(dice.choices("abcdefgh äöü €𝄞", k=dice.randint(0, 40)))
    profile, storage, salt, nonce = (dice.randbytes(length) for length in (16, 32, 16, 24))
    vault = Vault(storage, profile)
    cost = dict(LEAST, lanes=dice.randint(1, 4), passes=dice.randint(2, 3))
    mine = header(vault, passphrase, cost, salt, nonce)
    made = port.bytes(
        "header",
        "vault-create",
        as_="theirs",
        passphrase=passphrase,
        cost=cost,
        random=profile + storage + salt + nonce,
    )
    tally.same("a vault's header", mine, made)
    tally.same("it unlocks here", storage, unlocked(made, passphrase).storage)
    rows(port, tally, dice, vault, "theirs")
    # Under another passphrase; made here, and opened there.
    again = header(vault, passphrase + "!", LEAST, salt, nonce)
    answer = port.bytes(
        "header", "vault-rewrap", vault="theirs", passphrase=passphrase + "!", cost=LEAST, random=salt + nonce
    )
    tally.same("the header of another passphrase", again, answer)
    port.ask("forget", vault="theirs")
    port.ask("vault-unlock", as_="mine", header=again, passphrase=passphrase + "!")
    blinded = vault.blind("mail", b"key")
    row = vault.seal("mail", blinded, b"before", nonce)
    tally.same(
        "rows stay as they are",
        b"before",
        port.bytes("row", "vault-open", vault="mine", table="mail", key=blinded, sealed=row),
    )
    tally.refused("the passphrase before", port.ask, "vault-unlock", as_="no", header=again, passphrase=passphrase)
    for what, start, end in [
        ("cost", 8, 9),
        ("salt", 20, 36),
        ("profile", 36, 52),
        ("nonce", 52, 76),
        ("wrapped key", 76, 108),
        ("tag", 108, 124),
    ]:
        tally.refused(
            f"a header with another {what}",
            port.ask,
            "vault-unlock",
            as_="no",
            header=dice.flipped(again, start, end),
            passphrase=passphrase + "!",
        )
    port.ask("forget", vault="mine")


def bounds(port, tally, dice):
    """Headers that are sound, and have costs or lengths that are not taken."""
    vault, salt, nonce = Vault(dice.randbytes(32), dice.randbytes(16)), dice.randbytes(16), dice.randbytes(24)
    for what, weaker in [
        ("too little memory", {"memory": 19 * 1024 - 1}),
        ("too few passes", {"passes": 1}),
        ("too many passes", {"passes": 17}),
        ("too many lanes", {"lanes": 17}),
    ]:
        weak = header(vault, "", {**LEAST, **weaker}, salt, nonce)
        tally.same("such a header opens here", vault.storage, unlocked(weak, "").storage)
        tally.refused(f"a header with {what}", port.ask, "vault-unlock", as_="no", header=weak, passphrase="")
        tally.refused(
            f"a vault with {what}",
            port.ask,
            "vault-create",
            as_="no",
            passphrase="",
            cost={**LEAST, **weaker},
            random=bytes(88),
        )
    tally.refused(
        "a header of another version",
        port.ask,
        "vault-unlock",
        as_="no",
        header=header(vault, "", LEAST, salt, nonce, b"SPVAULT2"),
        passphrase="",
    )
    sound = header(vault, "", LEAST, salt, nonce)
    tally.refused("a header cut short", port.ask, "vault-unlock", as_="no", header=sound[:-1], passphrase="")
    tally.refused("a header with a byte more", port.ask, "vault-unlock", as_="no", header=sound + b"\0", passphrase="")
    recommended = {"memory": 64 * 1024, "passes": 3, "lanes": 4}
    made = port.bytes(
        "header",
        "vault-create",
        as_="v",
        passphrase="correct horse",
        cost=recommended,
        random=vault.profile + vault.storage + salt + nonce,
    )
    tally.same(
        "a vault's header at the recommended cost", header(vault, "correct horse", recommended, salt, nonce), made
    )


def states(port, tally, dice):
    """A session's state is a row that says it holds a secret; nothing that says otherwise is taken for one."""
    vault = Vault(bytes(32), bytes(16))
    for name in ("alice", "bob"):
        port.ask("person", as_=name, random=dice.randbytes(96))
    for role, length in ((1, 32), (3, 64), (5, 32)):
        port.ask("prekey", person="bob", role=role, id=1, made_at=1, random=dice.randbytes(length))
    bundle = port.ask("bundle", person="bob", keys={"signed": 1, "kem_role": 3, "kem": 1}, box_key=1)
    port.ask("initiate", person="alice", bundle=bundle, as_="session", random=dice.randbytes(64))
    state = bytes.fromhex(port.state("session"))
    plain = vault.open("session", bytes(32), state, b"vault secret")
    tally.same(
        "a state opens here, and is sealed again",
        state,
        vault.seal("session", bytes(32), plain, bytes(24), b"vault secret"),
    )
    tally.refused(
        "a state that is not said to be secret",
        port.ask,
        "restore",
        as_="x",
        state=vault.seal("session", bytes(32), plain, bytes(24)),
    )
    for what, other in [
        ("of another version", b"\xff" + plain[1:]),
        ("with a byte more", plain + b"\0"),
        ("cut short", plain[:-1]),
        ("empty", b""),
    ]:
        tally.refused(
            f"a state {what}",
            port.ask,
            "restore",
            as_="x",
            state=vault.seal("session", bytes(32), other, bytes(24), b"vault secret"),
        )


def once(port, tally, dice):
    bounds(port, tally, dice)
    states(port, tally, dice)


def peer(port, tally, dice):
    compared(port, tally, dice)
    kept(port, tally, dice)


if __name__ == "__main__":
    walk(peer, seeds=6, once=once)
