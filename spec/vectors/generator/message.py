"""PQXDH, ratchet and session messages: spec/message.md."""

import hashlib

from .notation import FIELD, File, bad_kem_key, dh, fixed, flip, hkdf, k_public, label, sha256, u8, u32, x_public
from .people import Person, alice, bob, last, opk, opk_secret, pqpk, pqpk_seed, spk, spk_secret
from .session import Agreement, Chain, associated, draw, first_chain, root_key, step

out = File("message.txt", "PQXDH, ratchet and session messages: spec/message.md")
vector, refused = out.vector, out.refused

# ---------------------------------------------------------------- agreements
own = fixed("agreement")
for name, public in [
    ("agreement", x_public(fixed("agreement with"))),
    ("agreement with the base point", u8(9) + bytes(31)),
]:
    vector(name, "agreement", secret=own, public=public, shared=dh(own, public))
eighth = (
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
)
number = lambda n: n.to_bytes(32, "little")
for why, public in [
    ("zero", bytes(32)),
    ("one", number(1)),
    ("order 8", bytes.fromhex(eighth[0])),
    ("order 8, the other", bytes.fromhex(eighth[1])),
    ("p - 1", number(FIELD - 1)),
    ("p", number(FIELD)),
    ("p + 1", number(FIELD + 1)),
    ("zero with the unused bit", number(1 << 255)),
    ("one with the unused bit", number(1 | 1 << 255)),
    ("p with the unused bit", number(FIELD | 1 << 255)),
]:
    assert dh(own, public) == bytes(32)
    refused("agreement", f"a point of low order, {why}", "agreement", secret=own, public=public)
kem_key = k_public(fixed("kem key", 64))
vector("KEM key", "kem-key", key=kem_key)
refused("KEM key", "its last number is 4,095", "kem-key", key=bad_kem_key(kem_key))
refused("KEM key", "its first number is 3,329", "kem-key", key=bytes([0x01, kem_key[1] & 0xF0 | 0x0D]) + kem_key[2:])
vector("KEM key with 3,328 as its first number", "kem-key", key=bytes([0x00, kem_key[1] & 0xF0 | 0x0D]) + kem_key[2:])

# ---------------------------------------------------------------- PQXDH
dhs = [fixed(f"dh{i}") for i in range(1, 5)]
shared = fixed("shared")
vector(
    "PQXDH root key, four agreements",
    "pqxdh-key",
    dh1=dhs[0],
    dh2=dhs[1],
    dh3=dhs[2],
    dh4=dhs[3],
    shared=shared,
    root=root_key(dhs, shared),
)
vector(
    "PQXDH root key, no one-time prekey",
    "pqxdh-key",
    dh1=dhs[0],
    dh2=dhs[1],
    dh3=dhs[2],
    shared=shared,
    root=root_key(dhs[:3], shared),
)
agreed = Agreement(fixed("ephemeral") + draw("pqpk", 32))
without = Agreement(fixed("ephemeral") + draw("pqpk", 32), None, last)
part, part_without = agreed.part, without.part
vector("session id", "session-id", part=part, id=sha256(label("session id") + part))
vector(
    "associated data",
    "associated-data",
    initiator=alice.party(),
    recipient=bob.party(),
    bundle=agreed.bundle,
    part=part,
    hash=agreed.ad,
)
vector(
    "associated data without one-time keys",
    "associated-data",
    initiator=alice.party(),
    recipient=bob.party(),
    bundle=without.bundle,
    part=part_without,
    hash=without.ad,
)

# ---------------------------------------------------------------- ratchet
salt = fixed("salt", 16)
drawn = fixed("alice ratchet") + fixed("alice ratchet kem", 64)
chain = first_chain(agreed.root, drawn)
vector(
    "first chain",
    "first-chain",
    root=agreed.root,
    dh=chain.agreed,
    ratchet=chain.public,
    kem=chain.kem,
    prekey=x_public(spk_secret),
    next_root=chain.root,
    chain=chain.key,
)
vector("chain step", "chain-step", chain=chain.key, next_chain=step(chain.key)[0], message_key=step(chain.key)[1])
key = step(chain.key)[1]
both = hkdf(salt, key, label("message"), 44)
vector("message key", "message-key", message_key=key, salt=salt, key=both[:32], nonce=both[32:])
# Bob answers with a chain of his own; Alice reads it with the pair of her first chain.
answer = Chain(
    chain.root, fixed("bob ratchet") + fixed("bob ratchet kem", 64) + draw("bob ratchet", 32), chain.public, chain.kem
)
vector(
    "later chain",
    "later-chain",
    root=chain.root,
    dh=answer.agreed,
    shared=answer.shared,
    ratchet=answer.public,
    kem=answer.kem,
    ciphertext=answer.ciphertext,
    peer=chain.public,
    peer_kem=chain.kem,
    next_root=answer.root,
    chain=answer.key,
)
vector(
    "ML-KEM decapsulation from a seed",
    "ml-kem",
    seed=chain.seed,
    public=chain.kem,
    ciphertext=answer.ciphertext,
    shared=answer.shared,
)
# A ciphertext that was altered gives another secret, and nothing says so (FIPS 203, algorithm 18).
altered = flip(answer.ciphertext, 500)
vector(
    "ML-KEM decapsulation of an altered ciphertext",
    "ml-kem",
    seed=chain.seed,
    public=chain.kem,
    ciphertext=altered,
    shared=hashlib.shake_256(chain.seed[32:] + altered).digest(32),
)
vector(
    "chain id of a first chain", "chain-id", ratchet=chain.public, kem=chain.kem, id=sha256(chain.public + chain.kem)
)
vector(
    "chain id of a later chain",
    "chain-id",
    ratchet=answer.public,
    kem=answer.kem,
    ciphertext=answer.ciphertext,
    id=sha256(answer.public + answer.kem + answer.ciphertext),
)

# ---------------------------------------------------------------- first messages
bobs = dict(device_seed=bob.device_seed, identity=bob.identity, spk_secret=spk_secret, spk=spk[0], spk_signature=spk[1])
one_time = dict(opk_secret=opk_secret, opk=opk[0], opk_signature=opk[1])
kem = dict(pqpk_seed=pqpk_seed, pqpk=pqpk[0], pqpk_signature=pqpk[1])
last_kem = dict(pqpk_seed=pqpk_seed, pqpk=last[0], pqpk_signature=last[1])
sides = dict(own=bob.party(), peer=alice.party())
usual = {**sides, **bobs, **one_time, **kem}
first = chain.message(agreed.ad, 0, b"hello, Bob", salt, part)
vector("a first message is accepted", "accept", **usual, message=first, plaintext=b"hello, Bob")
vector(
    "the third message is accepted as the first",
    "accept",
    **usual,
    message=chain.message(agreed.ad, 2, b"third", salt, part),
    plaintext=b"third",
)
vector(
    "a jump of 1,000 is accepted",
    "accept",
    **usual,
    message=chain.message(agreed.ad, 1000, b"far", salt, part),
    plaintext=b"far",
)
vector(
    "an empty content is accepted",
    "accept",
    **usual,
    message=chain.message(agreed.ad, 0, b"", salt, part),
    plaintext=b"",
)
for name, opk_of, pqpk_of, ours in [
    ("one-time keys", None, last, {**sides, **bobs, **last_kem}),
    ("a one-time X25519 key", None, pqpk, {**sides, **bobs, **kem}),
    ("a one-time KEM key", opk, last, {**sides, **bobs, **one_time, **last_kem}),
]:
    made = Agreement(fixed("ephemeral") + draw("pqpk", 32), opk_of, pqpk_of)
    said = f"no {name[2:] if name[0] == 'a' else name}".encode()
    begun = first_chain(made.root, drawn)
    vector(
        f"a first message without {name} is accepted",
        "accept",
        **ours,
        message=begun.message(made.ad, 0, said, salt, made.part),
        plaintext=said,
    )


def nope(why, message, **change):
    fields = {key: value for key, value in {**usual, **change}.items() if value is not None}
    refused("accept", why, "accept", **fields, message=message)


nope("a flipped bit in the tag", flip(first, -1))
nope("a flipped bit in the ciphertext", flip(first, -20))
nope("a flipped bit in the salt", flip(first, -30))
nope("a flipped bit in N", flip(first, -46))
nope("a flipped bit in PN", flip(first, -50))
nope("a flipped bit in A'", flip(first, 1140))
nope("a flipped bit in ek'", flip(first, 1300))
nope("a flipped bit in the KEM ciphertext", flip(first, 500))
nope("a flipped bit in EK", flip(first, 10))
nope("cut short", first[:-1])
nope("a byte left over", first + b"\0")
# The rest have tags that are right for what they say: nothing but the one check refuses them.
stranger = lambda name=b"alice", account=alice.account, device=alice.device: u8(len(name)) + name + account + device
for why, peer in [
    ("name", stranger(name=b"alicia")),
    ("account key", stranger(account=bob.account)),
    ("device id", stranger(device=u32(2) + alice.device[4:])),
    ("device key", stranger(device=u32(1) + alice.account + alice.device[36:])),
    ("identity key", stranger(device=alice.device[:36] + x_public(fixed("other identity")))),
]:
    nope(f"another {why} of the initiator", first, peer=peer)
for why, party in [
    ("name", u8(3) + b"rob" + bob.account + bob.device),
    ("account key", u8(3) + b"bob" + alice.account + bob.device),
    ("device id", u8(3) + b"bob" + bob.account + u32(2) + bob.device[4:]),
]:
    nope(f"another {why} of the recipient", first, own=party)
nope("a bundle with another signature", first, spk_signature=opk[1])
nope("a one-time prekey with another signature", first, opk_signature=spk[1])
nope("a KEM prekey with another signature", first, pqpk_signature=spk[1])
nope("a bundle with another time", first, spk=flip(spk[0], 5))
for why, at, other in [
    ("signed prekey id", 32, u32(12)),
    ("one-time prekey id", 36, u32(23)),
    ("KEM prekey role", 40, u8(3)),
    ("KEM prekey id", 41, u32(35)),
]:
    named = part[:at] + other + part[at + len(other) :]
    nope(f"it names another {why}", chain.message(associated(agreed.bundle, named), 0, b"x", salt, named))
nope("a one-time prekey is named and gone", first, opk_secret=None, opk=None, opk_signature=None)
unnamed = Agreement(fixed("ephemeral") + draw("pqpk", 32), None, pqpk)
nope(
    "a one-time prekey is there and not named",
    first_chain(unnamed.root, drawn).message(unnamed.ad, 0, b"x", salt, unnamed.part),
)
low = Agreement(fixed("ephemeral") + draw("pqpk", 32), ephemeral=bytes(32))
nope("an ephemeral key of low order", first_chain(low.root, drawn).message(low.ad, 0, b"x", salt, low.part))
chain_low = first_chain(agreed.root, drawn, public=bytes(32))
nope("a ratchet key of low order", chain_low.message(agreed.ad, 0, b"x", salt, part))
chain_bad = first_chain(agreed.root, drawn, kem=bad_kem_key(chain.kem))
nope("a KEM ratchet key that fails the modulus check", chain_bad.message(agreed.ad, 0, b"x", salt, part))
nope("a jump of 1,001", chain.message(agreed.ad, 1001, b"x", salt, part))
nope("the highest N", chain.header(2**32 - 1, salt, part) + bytes(17))
nope("PN 1 in the first chain", chain.message(agreed.ad, 0, b"x", salt, part, previous=1))
nope("a message of a later chain", answer.message(agreed.ad, 0, b"x", salt))
nope("a ciphertext in the first chain", u8(1) + u8(3) + first[2:])


class Twin(Person):
    """Somebody whose device has one of Bob's keys."""

    def __init__(self, seed=None, identity=None):
        super().__init__("alice")
        self.identity = identity or self.identity
        self.device = u32(1) + (bob.device_key if seed else self.device_key) + x_public(self.identity)


for why, twin in [("device key", Twin(seed=bob.device_seed)), ("identity key", Twin(identity=bob.identity))]:
    made = Agreement(fixed("ephemeral") + draw("pqpk", 32), initiator=twin)
    nope(
        f"an initiator with the recipient's {why}",
        first_chain(made.root, drawn).message(made.ad, 0, b"x", salt, made.part),
        peer=twin.party(),
    )
nope("the secrets of another device", first, identity=fixed("other identity"))
for what, message, ids in [("both one-time keys", first, (22, 4, 33)), ("no one-time key", part_without, (0, 3, 34))]:
    if what[0] == "n":
        message = first_chain(without.root, drawn).message(without.ad, 0, b"no one-time keys", salt, part_without)
    vector(
        f"a message names {what}",
        "named-prekeys",
        message=message,
        spk=11,
        opk=ids[0],
        role=ids[1],
        pqpk=ids[2],
        remembered=sha256(message[2:34] + message[47:1135]),
    )

# ---------------------------------------------------------------- session messages
later = u8(1) + u8(2) + answer.public + answer.kem + answer.ciphertext + u32(0) + u32(0) + salt + bytes(16)
numbered = u8(1) + u8(2) + answer.public + answer.kem + answer.ciphertext + u32(7) + u32(260) + salt + bytes(40)


def fields(message, part=b""):
    at = 2 + len(part)
    ct = b"" if part else message[at + 1216 : at + 2304]
    rest = at + 1216 + len(ct)
    optional = {**({"part": part} if part else {}), **({"ct": ct} if ct else {})}
    return dict(
        bytes=message,
        **optional,
        ratchet=message[at : at + 32],
        kem=message[at + 32 : at + 1216],
        pn=int.from_bytes(message[rest : rest + 4], "little"),
        n=int.from_bytes(message[rest + 4 : rest + 8], "little"),
        salt=message[rest + 8 : rest + 24],
        sealed=message[rest + 24 :],
    )


vector("session message of a first chain", "session-message", **fields(first, part))
vector(
    "session message of a first chain without one-time key",
    "session-message",
    **fields(first[:2] + part_without + first[1135:], part_without),
)
vector("session message of a later chain", "session-message", **fields(later))
vector("session message of a later chain with numbers", "session-message", **fields(numbered))
bad = lambda why, message: refused("session message", why, "session-message", bytes=message)
bad("another version", u8(2) + later[1:])
bad("version 0", u8(0) + later[1:])
bad("no parts", u8(1) + u8(0) + later[2:])
bad("both parts", u8(1) + u8(3) + part + later[2:])
bad("an unknown part", u8(1) + u8(6) + later[2:])
bad("an unknown part alone", u8(1) + u8(4) + later[2:])
bad("shorter than its tag", later[:-1])
bad("no tag", later[:-16])
for what, end in [
    ("nothing", 0),
    ("a version alone", 1),
    ("PQXDH part", 1134),
    ("A'", 1166),
    ("ek'", 2350),
    ("PN", 2354),
    ("N", 2358),
    ("salt", 2374),
]:
    bad(f"{what}{' cut short' if end > 1 else ''}", first[:end])
bad("ct cut short", later[:2305])
bad("PQXDH part with signed prekey 0", first[:34] + u32(0) + first[38:])
bad("PQXDH part with KEM prekey 0", first[:43] + u32(0) + first[47:])
for role in (0, 1, 2, 5, 6):
    bad(
        "PQXDH part with a role that is no KEM's" + (f", {role}" if role != 2 else ""),
        first[:42] + u8(role) + first[43:],
    )
