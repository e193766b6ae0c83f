"""Sessions of several turns, with all that is drawn in them: spec/message.md."""

from .notation import File, bad_kem_key, flip
from .people import alice, bob, opk, opk_secret, pqpk, pqpk_seed, spk, spk_secret
from .session import Agreement, Chain, draw, first_chain

out = File("conversation.txt", "Sessions of several turns: spec/message.md")

PEOPLE = dict(
    alice=alice.party(),
    alice_device_seed=alice.device_seed,
    alice_identity=alice.identity,
    bob=bob.party(),
    bob_device_seed=bob.device_seed,
    bob_identity=bob.identity,
    spk_secret=spk_secret,
    spk=spk[0],
    spk_signature=spk[1],
    opk_secret=opk_secret,
    opk=opk[0],
    opk_signature=opk[1],
    pqpk_seed=pqpk_seed,
    pqpk=pqpk[0],
    pqpk_signature=pqpk[1],
)


class Talk:
    """Writes the steps of one vector down, and knows the secrets of both sides."""

    def __init__(self, name):
        self.name, self.steps, self.made, self.chains = name, [], {}, 0
        self.newest = {"alice": None, "bob": None}
        drawn = draw(f"{name}, agreement", 64)
        self.agreed = Agreement(drawn)
        self.note("alice", "begins", drawn)

    def note(self, who, does, *values):
        self.steps.append(" ".join([who, does, *(self.made.get(value) or value.hex() or "-" for value in values)]))

    def chain(self, who, to=None, **said):
        """The chain that `who` begins: the first one, or one to the chain `to` of the other side."""
        self.chains += 1
        drawn = draw(f"{self.name}, chain {self.chains}", 96 if to is None else 128)
        chain = first_chain(self.agreed.root, drawn) if to is None else Chain(to.root, drawn, to.public, to.kem, **said)
        before = self.newest[who]
        chain.drawn, chain.who, chain.next, chain.previous = drawn, who, 0, before.next if before else 0
        return chain

    def message(self, chain, number, text, previous=None, **other):
        """Any message of a chain; its side need not have sent it, nor those before it."""
        part = b"" if chain.ciphertext else self.agreed.part
        salt = draw(f"{self.name}, salt of {number} in {chain.public.hex()}", 16)
        return chain.message(
            self.agreed.ad, number, text, salt, part, chain.previous if previous is None else previous, **other
        )

    def encrypts(self, chain, text):
        """The next message of a chain, by its side: which draws for a new chain, and a salt for each message."""
        number = chain.next
        message = self.message(chain, number, text)
        drawn = (b"" if number else chain.drawn) + draw(f"{self.name}, salt of {number} in {chain.public.hex()}", 16)
        self.note(chain.who, "encrypts", drawn, text, message)
        self.made[message] = f"@{len(self.steps)}"
        chain.next, self.newest[chain.who] = number + 1, chain
        return message

    def accepts(self, message, text):
        self.note("bob", "accepts", message, text)

    def reads(self, who, message, text):
        self.note(who, "reads", message, text)

    def refuses(self, who, message):
        self.note(who, "refuses", message)

    def waits(self, who, days):
        self.steps.append(f"{who} waits {days}")

    def done(self):
        out.vector(
            self.name, "conversation", **PEOPLE, **{f"step_{number}": step for number, step in enumerate(self.steps, 1)}
        )

    def three_chains(self):
        """Alice wrote, Bob answered, both were read; and Alice's next chain, of which nothing was sent yet."""
        first = self.chain("alice")
        hello = self.encrypts(first, b"hello")
        self.accepts(hello, b"hello")
        second = self.chain("bob", first)
        answer = self.encrypts(second, b"answer")
        self.reads("alice", answer, b"answer")
        return first, second, hello, answer, self.chain("alice", second)


# ---------------------------------------------------------------- turns
talk = Talk("six turns")
*_, chain = talk.three_chains()
for turn in range(4):
    reader = "alice" if chain.who == "bob" else "bob"
    for number in range(turn + 1):
        text = f"turn {turn + 3}, number {number}".encode()
        talk.reads(reader, talk.encrypts(chain, text), text)
    chain = talk.chain(reader, chain)
talk.done()

talk = Talk("the PQXDH part is repeated until an answer was read")
first = talk.chain("alice")
messages = [talk.encrypts(first, b"%d" % number) for number in range(3)]
talk.accepts(messages[1], b"1")
second = talk.chain("bob", first)
answer = talk.encrypts(second, b"answer")
talk.reads("bob", messages[0], b"0")
talk.reads("alice", answer, b"answer")
talk.reads("bob", talk.encrypts(talk.chain("alice", second), b"without it"), b"without it")
talk.reads("bob", messages[2], b"2")
talk.done()

talk = Talk("any order, and each once")
first, second, hello, answer, third = talk.three_chains()
ours = [talk.encrypts(third, b"%d" % number) for number in range(4)]
for number in (3, 1):
    talk.reads("bob", ours[number], b"%d" % number)
    talk.refuses("bob", ours[number])
fourth = talk.chain("bob", third)
reply = talk.encrypts(fourth, b"reply")
talk.reads("alice", reply, b"reply")
late = talk.encrypts(talk.chain("alice", fourth), b"next")
talk.reads("bob", late, b"next")
for number in (0, 2):
    talk.reads("bob", ours[number], b"%d" % number)
for message in ours + [late, hello]:
    talk.refuses("bob", message)
for message in (answer, reply):
    talk.refuses("alice", message)
talk.done()

talk = Talk("nobody reads what they wrote, or what another session wrote")
first, second, hello, answer, _ = talk.three_chains()
talk.refuses("alice", hello)
talk.refuses("bob", answer)
other, salt = Agreement(draw("another session", 64)), draw("another session's salt", 16)
stray = first_chain(other.root, draw("another session's chain", 96))
talk.refuses("bob", stray.message(other.ad, 0, b"stray", salt, other.part))
stray = Chain(second.root, draw("another session's chain", 128), second.public, second.kem)
talk.refuses("bob", stray.message(other.ad, 0, b"stray", salt, previous=1))
talk.done()

# ---------------------------------------------------------------- one fault each, and nothing changes
talk = Talk("one bit of each field altered")
*_, third = talk.three_chains()
message = talk.encrypts(third, b"as it was")
# Version, parts, A', ek', ct, PN, N, salt, ciphertext, tag.
for place in (0, 1, 17, 600, 1500, 2306, 2310, 2320, 2335, len(message) - 1):
    talk.refuses("bob", flip(message, place, place % 8))
for bent in (message[:-1], message + b"\0", message[:2330], b""):
    talk.refuses("bob", bent)
talk.reads("bob", message, b"as it was")
talk.done()

talk = Talk("a later chain without its KEM")
first, second, hello, answer, third = talk.three_chains()
bare = first_chain(second.root, third.drawn[:96])
salt = draw("bare", 16)
for header in (
    bare.header(0, salt, previous=1, parts=2),
    bare.header(0, salt, talk.agreed.part, 1),
    bare.header(0, salt, previous=1, parts=0),
):
    talk.refuses("bob", bare.message(talk.agreed.ad, 0, b"no KEM", salt, header=header))
third_key, third.key = third.key, bare.key
talk.refuses("bob", talk.message(third, 0, b"keys without the KEM under a whole header"))
third.key = third_key
talk.reads("bob", talk.encrypts(third, b"with it"), b"with it")
talk.done()

for what in ("A' of low order", "ek' that fails the modulus check"):
    talk = Talk(f"a later chain with {what}")
    first, second, hello, answer, third = talk.three_chains()
    said = dict(public=bytes(32)) if what[0] == "A" else dict(kem=bad_kem_key(third.kem))
    talk.refuses("bob", talk.message(talk.chain("alice", second, **said), 0, b"x"))
    talk.reads("bob", talk.encrypts(third, b"as it must be"), b"as it must be")
    talk.done()

talk = Talk("a chain to a key that is used up")
first, second, hello, answer, third = talk.three_chains()
talk.reads("bob", talk.encrypts(third, b"third"), b"third")
talk.refuses("bob", talk.message(talk.chain("alice", second), 0, b"a second one"))
talk.done()

talk = Talk("a number that was read, under the key of the next one")
*_, third = talk.three_chains()
for text in (b"0", b"1"):
    talk.reads("bob", talk.encrypts(third, text), text)
header = third.header(0, salt, previous=1)
talk.refuses("bob", third.message(talk.agreed.ad, 2, b"x", salt, header=header))
talk.reads("bob", talk.encrypts(third, b"2"), b"2")
talk.done()

talk = Talk("PN above 0 in the recipient's first chain")
first = talk.chain("alice")
talk.accepts(talk.encrypts(first, b"hello"), b"hello")
second = talk.chain("bob", first)
talk.refuses("alice", talk.message(second, 0, b"x", 1))
talk.reads("alice", talk.encrypts(second, b"answer"), b"answer")
talk.done()

talk = Talk("PN below what was read")
first = talk.chain("alice")
talk.accepts(talk.encrypts(first, b"0"), b"0")
talk.reads("bob", talk.encrypts(first, b"1"), b"1")
second = talk.chain("bob", first)
talk.reads("alice", talk.encrypts(second, b"answer"), b"answer")
third = talk.chain("alice", second)
talk.refuses("bob", talk.message(third, 0, b"x", 1))
talk.reads("bob", talk.encrypts(third, b"as it must be"), b"as it must be")
talk.done()

talk = Talk("another PQXDH part in a message of the first chain")
first = talk.chain("alice")
talk.accepts(talk.encrypts(first, b"hello"), b"hello")
header = first.header(1, salt, talk.agreed.part[:36] + bytes(4) + talk.agreed.part[40:])
talk.refuses("bob", first.message(talk.agreed.ad, 1, b"x", salt, header=header))
talk.reads("bob", talk.encrypts(first, b"as it must be"), b"as it must be")
talk.done()

# ---------------------------------------------------------------- limits
talk = Talk("a jump of 1,000 in a chain, and one of 1,001")
*_, third = talk.three_chains()
talk.reads("bob", talk.encrypts(third, b"0"), b"0")
talk.refuses("bob", talk.message(third, 1002, b"too far"))
for number, text in [(1001, b"far"), (1, b"the first that was skipped"), (1000, b"the last that was skipped")]:
    talk.reads("bob", talk.message(third, number, text), text)
talk.refuses("bob", talk.message(third, 2003, b"too far"))
talk.reads("bob", talk.message(third, 2002, b"far again"), b"far again")
talk.done()

talk = Talk("a jump of 1,000 at a chain's beginning, and one of 1,001")
*_, third = talk.three_chains()
talk.refuses("bob", talk.message(third, 1001, b"too far"))
talk.reads("bob", talk.message(third, 1000, b"far"), b"far")
talk.done()

talk = Talk("both chains of a jump count together")
first, second, hello, answer, third = talk.three_chains()
for number, previous in [(600, 402), (0, 1002), (1, 2**32 - 1), (0, 2**32 - 1)]:
    talk.refuses("bob", talk.message(third, number, b"too far", previous))
talk.reads("bob", talk.message(third, 600, b"far", 401), b"far")
for number, text in [(1, b"the chain before"), (400, b"its end")]:
    talk.reads("bob", talk.message(first, number, text), text)
talk.refuses("bob", talk.message(first, 401, b"beyond its end"))
talk.done()

talk = Talk("2,000 skipped keys are kept, and the oldest goes first")
*_, third = talk.three_chains()
for number, text in [
    (1000, b"1,000 kept"),
    (2001, b"2,000 kept"),
    (0, b"the oldest is there"),
    (2004, b"1,999 and two more"),
]:
    talk.reads("bob", talk.message(third, number, text), text)
talk.refuses("bob", talk.message(third, 1, b"gone"))
for number, text in [(2, b"the oldest now"), (2003, b"the newest")]:
    talk.reads("bob", talk.message(third, number, text), text)
talk.done()

talk = Talk("a skipped key is kept for 35 days, give or take one")
*_, third = talk.three_chains()
messages = [talk.encrypts(third, b"%d" % number) for number in range(4)]
talk.reads("bob", messages[2], b"2")
talk.waits("bob", 33)
talk.reads("bob", messages[0], b"0")
talk.waits("bob", 4)
talk.refuses("bob", messages[1])
talk.reads("bob", messages[3], b"3")
talk.done()
