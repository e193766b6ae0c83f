#!/usr/bin/env python3
"""Holds the ratchet of `crypto` to the `DoubleRatchet` of PyPI (Syndace, 1.3.0), event by event.

Alice and Bob exist twice: as sessions of `vectors-port`, and as objects of that library. Both twins of a person are given the same
random bytes and the same events: each message must come out the same to the byte, each plaintext too, and what one twin refuses
the other must refuse. After a refusal the serialised state of both must be what it was.

The library decides when to turn, what to skip and keep, what is a duplicate and what is too far. What is computed in a step is put
in its place by subclasses, after spec/message.md: the ratchet key is A' || ek' || ct, named by its chain id; "Diffie-Hellman" is
X25519 with ML-KEM; the root's KDF takes both, with the transcript; a message has a salt. Chains are drawn at once there and lazily
here: a twin of ours is given what was drawn when it needs it. PQXDH, which the library does not have, is done by `chapters/`.

They differ by design in one thing: a message that skips keys in two chains may skip 1,000 in each there, and 1,000 in both together
here ([MSG-14]). Such a message must be refused here, and is not shown there.

Each seed is 10,000 events of several sessions: messages sent, read, lost, late, twice, out of order, altered, cut short, sent back,
and restarts; and at a session's end about as many lost as may be skipped.
"""

import collections
import json
import warnings

from doubleratchet import AEAD, DiffieHellmanRatchet, DoubleRatchet, EncryptedMessage, Header, KDF
from doubleratchet import DoSProtectionException, DuplicateMessageException
from doubleratchet.recommended import HashFunction, kdf_separate_hmacs

import port as the_port
from chapters import account, message
from chapters.primitive import (
    LABELS,
    Refused,
    aead_open,
    aead_seal,
    check,
    hkdf,
    kem_check,
    kem_decapsulate,
    kem_encapsulate,
    kem_public,
    le,
    sha256,
    x25519,
    x25519_public,
)
from port import Disagreement

EVENTS = 10_000


# ---------------------------------------------------------------- theirs, with the spec's arithmetic
class Drawn:
    """The dice of a run, and every chain that was made with them."""

    dice = None
    keys = {}  # chain id -> A' || ek' || ct; of a signed prekey its hash -> the key alone
    pairs = {}  # what was drawn for a chain -> its id, from when it sends on
    of = {}  # the other way round

    @classmethod
    def begin(cls, dice):
        cls.dice = dice
        for table in (cls.keys, cls.pairs, cls.of):
            table.clear()

    @classmethod
    def name(cls, key):
        """A short name for a ratchet key: so the library's states stay small."""
        cls.keys[sha256(key)] = key
        return sha256(key)


class Turns(DiffieHellmanRatchet):
    """A private key is what a chain draws: a', d and z of the KEM pair, and 32 bytes for Encaps; or the signed prekey's secret."""

    @staticmethod
    def _generate_priv():
        return Drawn.dice.randbytes(128)

    @staticmethod
    def _derive_pub(priv):
        return Drawn.pairs[priv]

    @staticmethod
    def _perform_diffie_hellman(own_priv, other_pub):
        other, secret, seed, for_encaps = Drawn.keys[other_pub], own_priv[:32], own_priv[32:96], own_priv[96:]
        if own_priv in Drawn.pairs:  # it has sent: what comes answers it
            check(len(other) == 2304)
            kem_check(other[32:1216])
            own = Drawn.keys[Drawn.pairs[own_priv]]
            secrets = x25519(secret, other[:32]) + kem_decapsulate(seed, other[1216:])
            return LABELS["RATCHET"] + sha256(other, own[:1216]) + secrets
        if not seed:  # the signed prekey: the other one is a session's first chain
            check(len(other) == 1216)
            kem_check(other[32:])
            return LABELS["FIRST_CHAIN"] + sha256(other, x25519_public(secret)) + x25519(secret, other[:32])
        key, secrets = x25519_public(secret) + kem_public(seed), x25519(secret, other[:32])
        if len(other) == 32:
            said = LABELS["FIRST_CHAIN"] + sha256(key, other) + secrets
        else:
            shared, ciphertext = kem_encapsulate(other[32:1216], for_encaps)
            key += ciphertext
            said = LABELS["RATCHET"] + sha256(key, other[:1216]) + secrets + shared
        Drawn.pairs[own_priv] = Drawn.name(key)
        Drawn.of[Drawn.pairs[own_priv]] = own_priv
        return said


class Root(KDF):
    @staticmethod
    async def derive(key, data, length):
        label = data[: data.index(b"\0") + 1]
        info, secrets = data[: len(label) + 32], data[len(label) + 32 :]
        return hkdf(key, secrets, info, length)


class Steps(kdf_separate_hmacs.KDF):
    """The library's own: HMAC(CK, 0x02) || HMAC(CK, 0x01) for the constant 0x02 0x01."""

    @staticmethod
    def _get_hash_function():
        return HashFunction.SHA_256


class Salted(AEAD):
    @staticmethod
    async def encrypt(plaintext, key, associated_data):
        salt = Drawn.dice.randbytes(16)
        key, nonce = message.message_key(key, salt)
        return salt + aead_seal(key, nonce, plaintext, associated_data + salt)

    @staticmethod
    async def decrypt(ciphertext, key, associated_data):
        key, nonce = message.message_key(key, ciphertext[:16])
        return aead_open(key, nonce, ciphertext[16:], associated_data + ciphertext[:16])


def laid_out(part, header):
    """The header of a message before its salt; `part`: the PQXDH part, in the first chain."""
    key = Drawn.keys[header.ratchet_pub]
    return (
        b"\1"
        + (b"\1" + part if len(key) == 1216 else b"\2")
        + key
        + le(header.previous_sending_chain_length, 4)
        + le(header.sending_chain_length, 4)
    )


class Ratchet(DoubleRatchet):
    @staticmethod
    def _build_associated_data(associated_data, header):
        """AD and the header: as it travelled, or with the PQXDH part to make it of."""
        ad, travelled, part = associated_data
        return ad + (travelled or laid_out(part, header))


CLASSES = dict(
    diffie_hellman_ratchet_class=Turns,
    root_chain_kdf=Root,
    message_chain_kdf=Steps,
    message_chain_constant=b"\2\1",
    dos_protection_threshold=message.MAX_JUMP,
    max_num_skipped_message_keys=message.MAX_SKIPPED,
    aead=Salted,
)


def run(coroutine):
    """Runs a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


# ---------------------------------------------------------------- both twins of a person
class Person:
    def __init__(self, port, tally, events, name):
        self.port, self.tally, self.events, self.name = port, tally, events, name
        self.theirs, self.part = None, None
        drawn = Drawn.dice.randbytes(96)
        said = port.ask("person", as_=name, random=drawn)
        self.listed = {"list": said["list"], "device": 1}
        self.layout = (
            len(name).to_bytes(1, "little")
            + name.encode()
            + bytes.fromhex(said["account"])
            + le(1, 4)
            + bytes.fromhex(said["device-key"] + said["identity"])
        )
        self.secret = bytes.fromhex(said["device-key"]), drawn[64:]
        self.session = f"{name}'s session"

    def prekeys(self, one_time):
        """Publishes; with or without a one-time key of X25519."""
        pair = lambda signed: (bytes.fromhex(signed["body"]), bytes.fromhex(signed["signature"]))
        make = lambda role, length: (
            drawn := Drawn.dice.randbytes(length),
            self.port.ask("prekey", person=self.name, role=role, id=role, made_at=1_700_000_000, random=drawn),
        )
        made = {
            name: make(*of)
            for name, of in {"spk": (1, 32), "opk": (2, 32), "pqpk": (4, 64), "box": (5, 32)}.items()
            if name != "opk" or one_time
        }
        self.keys = {name: pair(made[name][1]) if name in made else None for name in ("spk", "opk", "pqpk")}
        self.secrets = {name: drawn for name, (drawn, _) in made.items()}
        keys = {"signed": 1, "kem-role": 4, "kem": 4, **({"one-time": 2} if one_time else {})}
        self.bundle = {
            name: value
            for name, value in self.port.ask("bundle", person=self.name, keys=keys, box_key=5).items()
            if value is not None
        }

    def begins(self, other):
        drawn = Drawn.dice.randbytes(64)
        self.port.ask("initiate", person=self.name, bundle=other.bundle, as_=self.session, random=drawn)
        agreed = message.initiate(self.layout, self.secret, other.layout, other.keys, message.Drawn(drawn))
        self.ad, self.part, self.initiated, self.agreed = agreed.ad, agreed.part, True, agreed
        self.peer_prekey = agreed.peer[0]

    def encrypts(self, plaintext):
        """A message, which both twins make the same."""
        if self.theirs is None:
            self.theirs, made = run(
                Ratchet.encrypt_initial_message(
                    **CLASSES,
                    shared_secret=self.agreed.root,
                    recipient_ratchet_pub=Drawn.name(self.peer_prekey),
                    message=plaintext,
                    associated_data=(self.ad, None, self.part),
                )
            )
        else:
            made = run(self.theirs.encrypt_message(plaintext, (self.ad, None, self.part)))
        random_bytes = made.ciphertext[:16]
        if made.header.sending_chain_length == 0:
            drawn = Drawn.of[made.header.ratchet_pub]
            random_bytes = drawn[: 96 if len(Drawn.keys[made.header.ratchet_pub]) == 1216 else 128] + random_bytes
        data = laid_out(self.part, made.header) + made.ciphertext
        self.tally.same(
            "messages",
            data,
            self.port.bytes("message", "encrypt", session=self.session, plaintext=plaintext, random=random_bytes),
        )
        return data

    def too_far_in_two(self, said):
        """Whether the message skips more than 1,000 keys in two chains together: the one difference by design."""
        turns = self.theirs._DoubleRatchet__diffie_hellman_ratchet
        kept = self.theirs._DoubleRatchet__skipped_message_keys
        if said.chain == turns.model.other_ratchet_pub or (said.chain, said.number) in kept:
            return False
        missed = said.previous - (self.theirs.receiving_chain_length or 0)
        return missed > 0 and missed + said.number > message.MAX_JUMP

    def decrypts(self, data, other, authentic):
        """The plaintext for both twins; or refused by both."""
        fresh = self.theirs is None
        try:
            if fresh:
                ours = self.port.bytes(
                    "plaintext", "accept", person=self.name, peer=other.listed, message=data, as_=self.session
                )
            else:
                ours = self.port.bytes("plaintext", "decrypt", session=self.session, message=data)
        except the_port.Refused:
            ours = None
        try:
            theirs = self.reads(data, other, fresh, authentic)
        except (Refused, DoSProtectionException, DuplicateMessageException):
            theirs = None
        if (ours is None) != (theirs is None):
            raise Disagreement(f"ours {'refused' if ours is None else 'took'} a message, theirs did not")
        check(ours is not None)
        self.tally.same("plaintexts", theirs, ours)
        return ours

    def reads(self, data, other, fresh, authentic):
        said = message.Message(data)
        shown = EncryptedMessage(
            Header(Drawn.name(said.public + said.kem + said.ciphertext), said.previous, said.number),
            said.salt + said.sealed,
        )
        associated = lambda ad: (ad, said.header[:-16], None)
        if not fresh:
            check(said.part is None or not self.initiated and said.part.bytes == self.part)
            if authentic and self.too_far_in_two(said):
                self.events["beyond 1,000 in two chains"] += 1
                raise Refused
            return run(self.theirs.decrypt_message(shown, associated(self.ad)))
        check(said.part)
        keys, secrets = self.keys, self.secrets
        ids = tuple(account.prekey(keys[name][0])[1] if keys[name] else 0 for name in ("spk", "opk", "pqpk"))
        check((said.part.spk, said.part.opk, said.part.pqpk, said.part.role) == ids + (4,) and said.previous == 0)
        agreements = [
            x25519(secrets["spk"], other.layout[-32:]),
            x25519(self.secret[1], said.part.ephemeral),
            x25519(secrets["spk"], said.part.ephemeral),
        ]
        agreements += [x25519(secrets["opk"], said.part.ephemeral)] if keys["opk"] else []
        root = message.root_key(agreements, kem_decapsulate(secrets["pqpk"], said.part.ciphertext))
        bundle = account.bundle_hash(keys["spk"], keys["opk"], keys["pqpk"])
        ad = message.associated_data(other.layout, self.layout, bundle, said.part.bytes)
        theirs, plaintext = run(
            Ratchet.decrypt_initial_message(
                **CLASSES,
                shared_secret=root,
                own_ratchet_priv=secrets["spk"],
                message=shown,
                associated_data=associated(ad),
            )
        )
        self.theirs, self.ad, self.part, self.initiated = theirs, ad, said.part.bytes, False
        return plaintext

    def states(self):
        """The serialised state of both twins."""
        if self.theirs is None:
            return None
        return self.port.state(self.session), self.theirs.model.model_dump_json()

    def restarts(self):
        """Both twins leave memory and come back from their states."""
        if self.theirs is None:
            return
        ours, theirs = self.states()
        self.port.ask("restore", state=ours, as_=self.session)
        self.theirs = Ratchet.from_json(json.loads(theirs), **CLASSES)


# ---------------------------------------------------------------- events
class Talk:
    """One session, from its first message on."""

    def __init__(self, port, tally, events):
        self.dice, self.tally, self.events = Drawn.dice, tally, events
        alice, bob = (Person(port, tally, events, name) for name in ("alice", "bob"))
        bob.prekeys(self.dice.random() < 0.5)
        alice.begins(bob)
        self.people = {"alice": alice, "bob": bob}
        self.speaker = "alice"
        # Messages to each: on their way, lost so far, and read; with their plaintexts.
        self.flying, self.lost, self.read = ({"alice": [], "bob": []} for _ in range(3))
        self.before = {"alice": None, "bob": None}

    def other(self, name):
        return "bob" if name == "alice" else "alice"

    def sends(self, name, pile, count=1):
        """So many messages, onto a pile of the other side."""
        for _ in range(count):
            plaintext = self.dice.randbytes(self.dice.randrange(48))
            pile[self.other(name)].append((self.people[name].encrypts(plaintext), plaintext))
        self.before[name] = None

    def hands_over(self, name):
        """One more message, which arrives at once."""
        to = self.other(name)
        self.sends(name, self.flying)
        said = self.flying[to].pop()
        (self.read if self.arrives(to, *said) else self.lost)[to].append(said)

    def arrives(self, name, data, plaintext=None):
        """`plaintext`: of a message that may be read; none where it must be refused. Whether it was read."""
        person = self.people[name]
        if self.before[name] is None:
            self.before[name] = person.states()
        try:
            came_out = person.decrypts(data, self.people[self.other(name)], plaintext is not None)
        except Refused:
            self.tally.same("states after a refusal", self.before[name], person.states())
            self.tally.refusals += 1
            self.events["refused though authentic and new"] += plaintext is not None
            return False
        if plaintext is None:
            raise Disagreement("a message had to be refused, and both took it")
        self.tally.same("plaintexts that were said", plaintext, came_out)
        self.before[name] = None
        return True

    def take(self, pile, near=None):
        """Somebody and the place of a message on a pile of theirs, perhaps among the oldest only."""
        name = self.dice.choice(["alice", "bob"])
        name = name if pile[name] else self.other(name)
        if not pile[name]:
            return None
        return name, self.dice.randrange(min(len(pile[name]), near or len(pile[name])))

    def event(self):
        does = self.dice.choices(*zip(*ODDS.items()))[0]
        self.events[does] += 1
        getattr(self, does)()

    def send(self):
        if self.dice.random() < 0.2:
            self.speaker = self.other(self.speaker)
        if self.speaker == "bob" and self.people["bob"].theirs is None:
            self.speaker = "alice"
        self.sends(self.speaker, self.flying)

    def burst(self):
        """About as many are lost as may be skipped, of one chain or of two."""
        self.events["burst"] += 1
        name = "alice" if self.people["bob"].theirs is None else self.dice.choice(["alice", "bob"])
        lost = message.MAX_JUMP + self.dice.randrange(-3, 4)
        if self.people["bob"].theirs is not None and self.dice.random() < 0.5:
            first = self.dice.randrange(lost)
            self.hands_over(name)
            self.sends(name, self.lost, first)
            self.hands_over(self.other(name))
            lost -= first
        self.sends(name, self.lost, lost)
        self.hands_over(name)

    def restart(self):
        self.people[self.dice.choice(["alice", "bob"])].restarts()

    def deliver(self, near=1):
        if found := self.take(self.flying, near):
            name, at = found
            if self.arrives(name, *self.flying[name][at]):
                self.read[name].append(self.flying[name].pop(at))
            else:
                self.lost[name].append(self.flying[name].pop(at))

    def reorder(self):
        self.deliver(None)

    def drop(self):
        if found := self.take(self.flying):
            name, at = found
            self.lost[name].append(self.flying[name].pop(at))

    def late(self):
        # Half of the time one of the oldest, whose keys go first.
        if found := self.take(self.lost, self.dice.choice([None, 8])):
            name, at = found
            if self.arrives(name, *self.lost[name][at]):
                self.read[name].append(self.lost[name].pop(at))

    def duplicate(self):
        if found := self.take(self.read):
            self.arrives(found[0], self.read[found[0]][found[1]][0])

    def some(self):
        """Any message, read or not, newest first."""
        name = self.dice.choice(["alice", "bob"])
        pile = self.dice.choice([self.flying, self.flying, self.read, self.lost])[name]
        return (name, pile[max(0, len(pile) - 1 - int(self.dice.expovariate(0.1)))][0]) if pile else None

    def flip(self):
        if found := self.some():
            name, data = found
            # The fields at the end are short: half of the bits are of them.
            start = self.dice.choice([0, max(0, len(data) - 90)])
            at = self.dice.randrange(start, len(data))
            self.arrives(name, data[:at] + bytes([data[at] ^ 1 << self.dice.randrange(8)]) + data[at + 1 :])

    def cut(self):
        if found := self.some():
            name, data = found
            self.arrives(name, self.dice.choice([data[: self.dice.randrange(len(data))], data[:-1], data + b"\0"]))

    def reflect(self):
        if (found := self.some()) and self.people[self.other(found[0])].theirs is not None:
            self.arrives(self.other(found[0]), found[1])


ODDS = dict(send=36, deliver=22, reorder=9, drop=5, late=6, duplicate=5, flip=9, cut=3, reflect=2, restart=1)


def peer(port, tally, dice):
    Drawn.begin(dice)
    events, left = collections.Counter(), EVENTS
    while left > 0:
        talk = Talk(port, tally, events)
        # The limits come last: states are large from then on.
        acts = [talk.event] * dice.choice([40, 400, 2000]) + ([talk.burst] + [talk.event] * 30) * dice.randrange(4)
        for act in acts[:left]:
            act()
        left -= len(acts)
        events["session"] += 1
    print(f"{EVENTS} events: {', '.join(f'{count} {what}' for what, count in sorted(events.items()))}")


if __name__ == "__main__":
    # The library warns where it passes over keys, and says so by what it does.
    warnings.simplefilter("ignore")
    the_port.walk(peer, seeds=1)
