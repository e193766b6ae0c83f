"""PQXDH and the first turns of a session, each side played by `handshake.py` and by the port with the same randomness.

Every byte of the one must be the other's: prekeys, messages, session ids, plaintexts. So each has spoken to each. Then
come those who lie: a relay, an initiator, somebody on the way. What they send must be refused on both sides, and leave
the port's state as it was.
"""

import itertools
import struct
from dataclasses import replace

import handshake
from handshake import BOX, LAST_RESORT, ONE_TIME, ONE_TIME_KEM, SIGNED, Bundle, Message, Party, Person
from port import Refused, walk

# X25519's points of small order: 0, 1, two of order 8, p - 1, and 0 and 1 again as p and p + 1.
P = 2**255 - 19
OF_ORDER_8 = [
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]
LOW_ORDER = [number.to_bytes(32, "little") for number in (0, 1, *OF_ORDER_8, P - 1, P, P + 1)]

PLACES = {"signed": [SIGNED], "one-time": [ONE_TIME], "kem": [LAST_RESORT, ONE_TIME_KEM], "box-key": [BOX]}
SECRETS = {SIGNED: 32, ONE_TIME: 32, LAST_RESORT: 64, ONE_TIME_KEM: 64, BOX: 32}


def not_canonical(public, dice):
    """The same ML-KEM key, written differently: q added to one of its numbers."""
    numbers = int.from_bytes(public[:1152], "little")
    small = [at for at in range(768) if (numbers >> 12 * at & 0xFFF) + 3329 < 4096]
    return (numbers + (3329 << 12 * dice.choice(small))).to_bytes(1152, "little") + public[1152:]


class Story:
    """People who exist twice."""

    def __init__(self, port, tally, dice):
        self.port, self.tally, self.dice = port, tally, dice
        self.alice, self.bob, self.carol = (self.person(name) for name in ("alice", "bob", "carol"))
        self.prekeys = {role: self.prekey(self.bob, role, dice.randrange(1, 1 << 32)) for role in SECRETS}

    def person(self, name):
        random, device, number = (
            self.dice.randbytes(96),
            self.dice.randrange(1, 1 << 32),
            self.dice.randrange(1, 1 << 64),
        )
        mine = Person(name, random, device, number)
        theirs = self.port.ask("person", as_=name, device=device, number=number, random=random)
        self.tally.same("a signed device list", hexed(mine.list), theirs["list"])
        return mine

    def prekey(self, person, role, number):
        made_at, random = self.dice.randrange(1 << 64), self.dice.randbytes(SECRETS[role])
        mine = person.makes(role, number, made_at, random)
        fields = {"role": role, "id": number, "made_at": made_at, "random": random}
        theirs = self.port.ask("prekey", person=person.party.name, **fields)
        self.tally.same("a signed prekey", hexed(mine.signed), theirs)
        return mine

    def bundle(self, one_time, one_time_kem):
        """Bob's keys: ours, and as the port serves them. Ours verifies theirs."""
        kem = self.prekeys[ONE_TIME_KEM if one_time_kem else LAST_RESORT]
        bundle = Bundle(self.prekeys[SIGNED], self.prekeys[ONE_TIME] if one_time else None, kem)
        served = self.port.ask("bundle", person="bob", keys=bundle.named(), box_key=self.prekeys[BOX].id)
        party, keys = handshake.verified(served, served)
        self.tally.same("whose a bundle is", self.bob.party, party)
        self.tally.same("a bundle", bundle.hash(), keys.hash())
        return bundle, served

    def initiates(self, one_time, one_time_kem, name="alice"):
        """Alice's session with Bob: ours, and theirs under a name."""
        bundle, served = self.bundle(one_time, one_time_kem)
        random = self.dice.randbytes(64)
        mine = handshake.initiate(self.alice, self.bob.party, bundle, random)
        theirs = self.port.bytes("id", "initiate", person="alice", bundle=served, as_=name, random=random)
        self.tally.same("a session's id", handshake.session_id(mine.part), theirs)
        return bundle, mine

    def says(self, session, name):
        """The next state of ours, the plaintext, and the message of both."""
        plaintext, random = self.dice.randbytes(self.dice.randrange(300)), self.dice.randbytes(session.draws())
        session, message = session.encrypt(plaintext, random)
        theirs = self.port.bytes("message", "encrypt", session=name, plaintext=plaintext, random=random)
        self.tally.same("a message", message, theirs)
        return session, plaintext, message

    def hears(self, session, name, plaintext, message):
        session, mine = session.decrypt(message)
        self.tally.same("a plaintext here", plaintext, mine)
        self.tally.same(
            "a plaintext there", plaintext, self.port.bytes("plaintext", "decrypt", session=name, message=message)
        )
        return session

    def accepts(self, bundle, plaintext, message, name="bob"):
        session, mine = handshake.accept(self.bob, self.alice.party, bundle, message)
        peer = self.alice.listed()
        answer = self.port.ask("accept", person="bob", peer=peer, message=message, as_=name)
        self.tally.same("a first plaintext here", plaintext, mine)
        self.tally.same("a first plaintext there", plaintext.hex(), answer["plaintext"])
        self.tally.same("a session's id", handshake.session_id(session.part).hex(), answer["id"])
        return session

    def holds_still(self, what, watched, verb, **fields):
        """What the port refuses leaves the state of a session byte for byte."""
        before = self.port.state(watched)
        self.tally.refused(what, self.port.ask, verb, **fields)
        self.tally.same("the state after a refusal", before, self.port.state(watched))

    def nobody_accepts(self, what, bundle, message, peer=None, keys=None):
        """A first message that Bob takes neither here nor there. The new session would have the name of the one that he
        has."""
        peer = peer or self.alice.listed()
        self.holds_still(what, "bob", "accept", person="bob", peer=peer, message=message, as_="bob", keys=keys)
        self.tally.refused(f"{what} (here)", handshake.accept, self.bob, of(peer), bundle, message)


def hexed(signed):
    return {"body": signed.body.hex(), "signature": signed.signature.hex()}


def of(listed):
    """Whom a listed device names."""
    body, device = listed["list"]["body"], listed["device"]
    length = body[8]
    layouts = [body[42 + length + 68 * at : 110 + length + 68 * at] for at in range(body[41 + length])]
    (layout,) = [layout for layout in layouts if struct.unpack_from("<I", layout)[0] == device]
    return Party(body[9 : 9 + length].decode(), body[9 + length : 41 + length], layout)


# Those who are honest


def conversation(story, one_time, one_time_kem):
    """From the first message to the third turn, with the beginnings of chains lost on the way."""
    dice = story.dice
    bundle, alice = story.initiates(one_time, one_time_kem)
    for _ in range(dice.randrange(3)):
        alice, _, _ = story.says(alice, "alice")
    alice, plaintext, message = story.says(alice, "alice")
    named = story.port.ask("message", message=message)
    remembered = handshake.sha256(alice.part[:32], alice.part[45:]).hex()
    story.tally.same("what is remembered of a first message", remembered, named["replay"])
    story.tally.same("a chain's id", Message.parse(message).chain.hex(), named["chain"])
    bob = story.accepts(bundle, plaintext, message)
    alice, plaintext, again = story.says(alice, "alice")
    story.tally.same("the PQXDH part, repeated", message[2:1135], again[2:1135])
    bob = story.hears(bob, "bob", plaintext, again)
    for turn in range(3):
        for _ in range(dice.randrange(1, 4)):
            bob, plaintext, message = story.says(bob, "bob")
        alice = story.hears(alice, "alice", plaintext, message)
        for _ in range(dice.randrange(1, 4)):
            alice, plaintext, message = story.says(alice, "alice")
        bob = story.hears(bob, "bob", plaintext, message)
    story.tally.holds("an answer ends the PQXDH part", Message.parse(message).part == b"")
    return bundle, alice, bob


# Those who lie


def lying_relay(story):
    """Bundles that Alice must not begin a session with."""
    dice, (_, served) = story.dice, story.bundle(True, True)

    def refused(what, here=True, **altered):
        lie = {**served, **altered}
        fields = {"person": "alice", "bundle": lie, "as_": "alice", "random": dice.randbytes(64)}
        story.holds_still(what, "alice", "initiate", **fields)
        if here:
            story.tally.refused(f"{what} (here)", handshake.verified, lie, lie)

    for place, roles in PLACES.items():
        body, signature = served[place]["body"], served[place]["signature"]
        bent = dice.flipped(bytes.fromhex(signature)).hex()
        refused(f"a bundle whose {place} has another signature", **{place: {"body": body, "signature": bent}})
        bent = dice.flipped(bytes.fromhex(body), 14).hex()
        refused(f"a bundle whose {place} is another key", **{place: {"body": bent, "signature": signature}})
        bent = dice.flipped(bytes.fromhex(body), 1, 13).hex()
        refused(f"a bundle whose {place} has another id or time", **{place: {"body": bent, "signature": signature}})
        for role, key in story.prekeys.items():
            if role not in roles:
                refused(f"a bundle with role {role} in the place of {place}", **{place: hexed(key.signed)})
        theirs = story.carol.makes(roles[0], 1, 1, dice.randbytes(SECRETS[roles[0]]))
        refused(f"a bundle whose {place} another device signed", **{place: hexed(theirs.signed)})
    bent = dice.flipped(bytes.fromhex(served["list"]["signature"])).hex()
    refused("a bundle whose list has another signature", list={"body": served["list"]["body"], "signature": bent})
    refused("a bundle of a device that is not listed", here=False, device=served["device"] ^ 1 or 2)
    refused(
        "a bundle with another's list",
        list=hexed(story.carol.lists(story.carol.party.device)),
        device=story.carol.listed()["device"],
    )

    kem = story.prekeys[ONE_TIME_KEM]
    bent = story.bob.certifies(kem.role, kem.id, 1, not_canonical(kem.public, dice))
    refused("a bundle whose KEM key is not canonical", kem=hexed(bent.signed))
    box = story.prekeys[BOX]
    bent = story.bob.certifies(BOX, box.id, 1, not_canonical(box.public[:1184], dice) + box.public[1184:])
    refused("a bundle whose box key is not canonical", **{"box-key": hexed(bent.signed)})
    for point in LOW_ORDER:
        # Nothing but the agreement tells, so Bob may have signed them himself.
        for place, role in [("signed", SIGNED), ("one-time", ONE_TIME)]:
            low = story.bob.certifies(role, 1, 1, point)
            refused(f"a bundle whose {place} has low order", here=False, **{place: hexed(low.signed)})
        low = story.bob.lists(story.bob.party.device[:36] + point)
        refused("a bundle of a device whose identity key has low order", here=False, list=hexed(low))
    own = {**served, "list": hexed(story.alice.list), "device": story.alice.listed()["device"]}
    for place, roles in PLACES.items():
        own[place] = hexed(story.alice.makes(roles[0], 1, 1, dice.randbytes(SECRETS[roles[0]])).signed)
    refused("a bundle of one's own", here=False, **own)


def lying_initiator(story, bundle):
    """First messages that are made well, of other things than Bob has."""
    dice, (alice, bob) = story.dice, (story.alice, story.bob)

    def refused(what, session=None, peer=None, **lies):
        session = session or handshake.initiate(alice, bob.party, bundle, dice.randbytes(64))
        _, message = session.encrypt(b"hello", dice.randbytes(112), **lies)
        story.nobody_accepts(what, bundle, message, peer)

    def begun(**lies):
        return handshake.initiate(alice, bob.party, bundle, dice.randbytes(64), **lies)

    # Somebody between them withholds or exchanges a key; all that is computed with is right, and only AD can tell.
    for what, key in [("signed", bundle.signed), ("one_time", bundle.one_time), ("kem", bundle.kem)]:
        if key is None:
            continue
        later = bob.certifies(key.role, key.id, 77, key.public)
        refused(
            f"a first message for the same {what} key with another signature",
            begun(said=replace(bundle, **{what: later})),
        )
        other = Person("bob", dice.randbytes(96)).makes(key.role, key.id, 1, dice.randbytes(SECRETS[key.role]))
        refused(f"a first message for another {what} key of that id", begun(mixed=replace(bundle, **{what: other})))
        refused(f"a first message that says another {what} key", begun(said=replace(bundle, **{what: other})))
    if bundle.one_time:
        without = replace(bundle, one_time=None)
        refused("a first message whose one-time key was withheld from AD", begun(said=without))
        refused("a first message without DH4", begun(mixed=without))
        stripped = handshake.initiate(alice, bob.party, without, dice.randbytes(64), mixed=bundle, said=bundle)
        _, message = stripped.encrypt(b"hello", dice.randbytes(112))
        unnamed = without.named()
        story.nobody_accepts("a first message that hides its one-time key", without, message, keys=unnamed)
        story.nobody_accepts("the same for other keys than it names", bundle, message, keys=bundle.named())

    # Whose session is it? Each lie is consistent in itself.
    mallory = Person("mallory", dice.randbytes(96))
    own, borrowed = alice.party.device, alice.listed()["device"]
    claimed = {"list": mallory.lists(own).wire(), "device": borrowed}
    refused("a first message of Alice's, said to be of an account that lists her device", peer=claimed)
    renamed = Person("alicia", dice.randbytes(96))
    renamed.account = alice.account
    renamed.party = replace(alice.party, name="alicia")
    refused(
        "a first message of Alice's under another name", peer={"list": renamed.lists(own).wire(), "device": borrowed}
    )
    other_id = struct.pack("<I", borrowed ^ 1) + own[4:]
    refused("a first message of another device id", peer={"list": alice.lists(other_id).wire(), "device": borrowed ^ 1})
    refused("a first message of Alice's, said to be Carol's", peer=story.carol.listed())
    toward = replace(bob.party, name="carol", account=story.carol.party.account)
    refused("a first message for Carol, who lists Bob's device", begun(toward=toward))
    refused("a first message for Bob's account of another name", begun(toward=replace(bob.party, name="bobby")))
    impostor = Person("alice", dice.randbytes(96))
    impostor.party = alice.party
    refused(
        "a first message without Alice's identity key",
        handshake.initiate(impostor, bob.party, bundle, dice.randbytes(64)),
    )
    mine = handshake.initiate(bob, bob.party, bundle, dice.randbytes(64))
    _, message = mine.encrypt(b"hello", dice.randbytes(112))
    fields = {"person": "bob", "peer": bob.listed(), "message": message, "as_": "bob"}
    story.holds_still("a first message of one's own", "bob", "accept", **fields)

    # Points and keys that no honest peer has; all else is computed as if they were good.
    honest = begun()

    def refused_chain(what, **lies):
        chain, _ = honest.begun(dice.randbytes(112), **lies)
        story.nobody_accepts(what, bundle, chain.encrypt(b"hello", dice.randbytes(16))[1])

    low = Person("alice", dice.randbytes(96))
    low.account, low.identity = alice.account, None
    for point in LOW_ORDER:
        refused("a first message with an ephemeral key of low order", begun(point=point))
        refused_chain("a first message with a ratchet key of low order", point=point)
        low.party = replace(alice.party, device=own[:36] + point)
        weak = handshake.initiate(low, bob.party, bundle, dice.randbytes(64))
        listed = {"list": alice.lists(low.party.device).wire(), "device": borrowed}
        refused("a first message of an identity key of low order", weak, listed)
    bent = not_canonical(handshake.kem_public(dice.randbytes(64)), dice)
    refused_chain("a first message whose ratchet KEM key is not canonical", kem=bent)

    # Headers that are authenticated, and not allowed.
    refused("a first message that follows a chain", previous=1)
    refused("a first message with a ciphertext of its chain", ciphertext=dice.randbytes(1088))
    refused("a first message without PQXDH part", part=b"")
    far, chain = honest.begun(dice.randbytes(112))[0], None
    for number in (1000, 1001):
        chain = far.sending[0]
        for _ in range(number):
            chain, _ = handshake.step(chain)
        _, message = replace(far, sending=(chain, number)).encrypt(b"far", dice.randbytes(16))
        if number > 1000:
            story.nobody_accepts("a first message that skips 1,001", bundle, message)
        else:
            story.accepts(bundle, b"far", message, "far")


def lying_network(story, bundle, alice, bob):
    """Messages that are altered, repeated or sent back on the way; `alice` and `bob` are in a conversation."""
    dice, fresh = story.dice, handshake.initiate(story.alice, story.bob.party, bundle, story.dice.randbytes(64))
    _, first = fresh.encrypt(b"first", dice.randbytes(112))
    names = "version,parts,ephemeral key,signed prekey's id,one-time prekey's id,KEM prekey's role,KEM prekey's id"
    names += ",KEM ciphertext,ratchet key,ratchet KEM key,PN,N,salt,ciphertext,tag"
    ends = [1, 2, 34, 38, 42, 43, 47, 1135, 1167, 2351, 2355, 2359, 2375, len(first) - 16, len(first)]
    fields = zip(names.split(","), [0, *ends], ends)
    for what, start, end in fields:
        story.nobody_accepts(f"a first message with another {what}", bundle, dice.flipped(first, start, end))
    for length in (0, 1, 2, 1134, 2374, 2390, len(first) - 1):
        story.nobody_accepts("a first message cut short", bundle, first[:length])
    story.nobody_accepts("a first message with a byte more", bundle, first + b"\0")

    def refused(what, session, name, message):
        story.holds_still(what, name, "decrypt", session=name, message=message)
        story.tally.refused(f"{what} (here)", session.decrypt, message)

    alice, plaintext, message = story.says(alice, "alice")
    refused("a message of one's own", alice, "alice", message)
    for start, end in [
        (0, 2),
        (2, 34),
        (34, 1218),
        (1218, 2306),
        (2306, 2310),
        (2310, 2314),
        (2314, 2330),
        (2330, len(message)),
    ]:
        refused("an altered message", bob, "bob", dice.flipped(message, start, end))
    refused("a first message of another session", bob, "bob", first)
    refused("another session's first message, to its maker", alice, "alice", first)
    bob = story.hears(bob, "bob", plaintext, message)
    refused("a message for the second time", bob, "bob", message)

    # Chains of one who says too little or lies in what is authenticated.
    for what, lies in [
        ("a later chain that says to be a first one", {"ciphertext": b"", "part": bob.part}),
        ("a later chain with another KEM ciphertext", {"ciphertext": dice.randbytes(1088)}),
        ("a later chain after 1,001 that never came", {"previous": alice.receiving[2] + 1001}),
        ("a later chain after fewer than came", {"previous": alice.receiving[2] - 1}),
    ]:
        _, message = bob.encrypt(b"x", dice.randbytes(144), **lies)
        refused(what, alice, "alice", message)
    bent = not_canonical(handshake.kem_public(dice.randbytes(64)), dice)
    for what, lies in [
        ("a later chain with a ratchet key of low order", {"point": dice.choice(LOW_ORDER)}),
        ("a later chain whose KEM key is not canonical", {"kem": bent}),
    ]:
        chain, salt = bob.begun(dice.randbytes(144), **lies)
        refused(what, alice, "alice", chain.encrypt(b"x", salt)[1])
    # A first chain in the place of a later one: X25519 alone, and well computed.
    chain, salt = replace(bob, peer=(bob.peer[0], None), receiving=None).begun(dice.randbytes(112))
    refused("a later chain without KEM, to the initiator", alice, "alice", chain.encrypt(b"x", salt)[1])
    bob, plaintext, message = story.says(bob, "bob")
    alice = story.hears(alice, "alice", plaintext, message)
    chain, salt = replace(alice, peer=(alice.peer[0], None), receiving=None).begun(dice.randbytes(112))
    refused("a later chain without KEM, to the recipient", bob, "bob", chain.encrypt(b"x", salt)[1])


def played_again(story):
    """One-time keys are deleted when their session is stored; then its first message is refused, and so is one of its
    chain that names other keys."""
    bundle, alice = story.initiates(True, True, "again")
    alice, plaintext, message = story.says(alice, "again")
    bob = story.accepts(bundle, plaintext, message, "bob again")
    for role in (ONE_TIME, ONE_TIME_KEM):
        story.port.ask("forget", person="bob", role=role, id=story.prekeys[role].id)
    fields = {"person": "bob", "peer": story.alice.listed(), "as_": "bob"}
    story.holds_still("a first message played again", "bob", "accept", message=message, **fields)
    what = "a first message played again to its session"
    story.holds_still(what, "bob again", "decrypt", session="bob again", message=message)
    _, message = alice.encrypt(b"x", story.dice.randbytes(16), part=story.dice.flipped(alice.part, 0, 32))
    what = "a first chain whose PQXDH part changes"
    story.holds_still(what, "bob again", "decrypt", session="bob again", message=message)
    story.tally.refused(f"{what} (here)", bob.decrypt, message)


def peer(port, tally, dice):
    story = Story(port, tally, dice)
    for one_time, one_time_kem in itertools.product([True, False], repeat=2):
        bundle, alice, bob = conversation(story, one_time, one_time_kem)
    lying_relay(story)
    one_time, one_time_kem = dice.random() < 0.5, dice.random() < 0.5
    bundle, alice, bob = conversation(story, one_time, one_time_kem)
    lying_initiator(story, bundle)
    lying_network(story, bundle, alice, bob)
    played_again(story)


if __name__ == "__main__":
    walk(peer, seeds=3)
