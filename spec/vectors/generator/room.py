"""Posts: spec/room.md."""

from .notation import (
    File,
    fixed,
    flip,
    label,
    second_encoding,
    sha256,
    short,
    sign,
    signed_with_neutral,
    u8,
    u32,
    u64,
    x_public,
    e_public,
)
from .people import alice, bob, relay, relay_seed

out = File("room.txt", "Posts: spec/room.md")
vector, refused = out.vector, out.refused
for text in ["lobby", "a", "0", "a" * 32, "0-1_x.y"]:
    vector(f"room {text[:8]}", "room-name", text=text)
for why, text in [
    ("empty", ""),
    ("too long", "a" * 33),
    ("upper case", "Lobby"),
    ("first a hyphen", "-a"),
    ("first a dot", ".a"),
    ("a space", "a b"),
    ("a slash", "a/b"),
    ("the mark that stands before it", "#lobby"),
    ("not ASCII", "café"),
]:
    refused("room", why, "room-name", text=text)

uuid = bytes.fromhex("018bcfe568007abc8def0123456789ab")
KINDS = dict(enumerate("text edit delete reply reaction join leave topic kick ban unban remove name away".split(), 1))
ABOUT_POSTS, ABOUT_PEOPLE = (2, 3, 4, 5, 12), (9, 10, 11)


def post_head(
    number=1,
    kind=1,
    target=bytes(16),
    target_hash=bytes(32),
    text=b"hello",
    room=b"lobby",
    name=b"alice",
    account=alice.account,
    device=alice.device,
    previous=bytes(32),
):
    return (
        relay
        + short(room)
        + short(name)
        + account
        + device
        + u64(number)
        + previous
        + u64(1_700_000_000_000)
        + uuid
        + u8(kind)
        + target
        + target_hash
        + sha256(text)
    )


def parsed(room="lobby", number=1, kind=1, target=bytes(16), target_hash=bytes(32), text=b"hello", previous=bytes(32)):
    return dict(
        relay=relay,
        room=room,
        account_name="alice",
        account=alice.account,
        device=alice.device,
        number=number,
        previous=previous,
        time=1_700_000_000_000,
        id=uuid,
        post_kind=kind,
        target=target,
        target_hash=target_hash,
        body_hash=sha256(text),
    )


head = post_head()
aim = dict(target=uuid, target_hash=fixed("target"))
vector("post head", "post-head", bytes=head, **parsed())
vector("post head of a reply", "post-head", bytes=post_head(kind=4, **aim), **parsed(kind=4, **aim))
at_bob = dict(target_hash=bob.account)
for kind, what in KINDS.items():
    if kind not in (1, 4):
        text = b"" if kind in (3, 6, 7, 12) else short(b"bob") + b"spam" if kind in ABOUT_PEOPLE else b"hello"
        said = dict(kind=kind, text=text, **(aim if kind in ABOUT_POSTS else at_bob if kind in ABOUT_PEOPLE else {}))
        vector(f"post head, kind {kind}, {what}", "post-head", bytes=post_head(**said), **parsed(**said))
said = dict(number=2**64 - 1, previous=fixed("previous"))
vector("post head with a previous one", "post-head", bytes=post_head(**said), **parsed(**said))
for why, b in [
    ("number 0", post_head(number=0)),
    ("a reply without target", post_head(kind=4)),
    ("a text with target", post_head(target=uuid)),
    ("a text without target and with its hash", post_head(target_hash=fixed("target"))),
    ("an unknown kind", post_head(kind=15)),
    ("no room's name", post_head(room=b"Lobby")),
    ("a byte left over", head + b"\0"),
    ("kind 0", post_head(kind=0)),
    ("an edit without target", post_head(kind=2)),
    ("a delete without target", post_head(kind=3)),
    ("a reaction without target", post_head(kind=5)),
    ("a join with target", post_head(kind=6, target=uuid)),
    ("a leave with target", post_head(kind=7, target=uuid)),
    ("a topic with target", post_head(kind=8, **aim)),
    ("a kick of nobody", post_head(kind=9)),
    ("a kick with a target's id", post_head(kind=9, target=uuid, **at_bob)),
    ("a ban of nobody", post_head(kind=10)),
    ("an unban of nobody", post_head(kind=11)),
    ("a topic about a person", post_head(kind=8, **at_bob)),
    ("a remove without target", post_head(kind=12)),
    ("a display name about a person", post_head(kind=13, **at_bob)),
    ("being away about a person", post_head(kind=14, **at_bob)),
    ("no author's name", post_head(name=b"Alice")),
    ("a room with its mark", post_head(room=b"#lobby")),
    ("cut short", head[:-1]),
    ("empty", b""),
]:
    refused("post head", why, "post-head", bytes=b)
vector("post hash", "post-hash", head=head, hash=sha256(label("post hash") + head))

# ---------------------------------------------------------------- posts
good = sign(alice.device_seed, "post", head)
post = dict(relay=relay, head=head, signature=good, list=alice.list, list_signature=alice.list_signature)
vector("post", "post", **post, body=b"hello")
vector("post whose body was removed", "post", **post)
signed = lambda head: dict(head=head, signature=sign(alice.device_seed, "post", head))
most, above = fixed("a long body", 16 * 1024), fixed("a long body", 16 * 1024 + 1)
vector("post with the longest body", "post", **{**post, **signed(post_head(text=most))}, body=most)
vector("post with an empty body", "post", **{**post, **signed(post_head(text=b""))}, body=b"")
second = u32(2) + e_public(fixed("second device")) + x_public(fixed("second device identity"))
listed = u64(2) + short(b"alice") + alice.account + u8(2) + alice.device + second
both = dict(list=listed, list_signature=sign(alice.seed, "device list", listed))
of_second = post_head(device=second)
vector(
    "post of a second device",
    "post",
    **{**post, **both, "head": of_second, "signature": sign(fixed("second device"), "post", of_second)},
    body=b"hello",
)
mixed = second[:4] + alice.device[4:]
for why, change in [
    ("another body", {"body": b"hullo"}),
    ("another relay", {"relay": fixed("other relay")}),
    ("signed by the account key", {"signature": sign(alice.seed, "post", head)}),
    ("somebody else's list", {"list": bob.list, "list_signature": bob.list_signature}),
    ("a body of 16 KiB and a byte", {**signed(post_head(text=above)), "body": above}),
    ("another author's name than the list's", signed(post_head(name=b"alicia"))),
    ("another account than the list's", signed(post_head(account=bob.account))),
    ("a device that the list does not have", signed(post_head(device=u32(2) + alice.device[4:]))),
    (
        "another device key than the list's",
        {
            "head": post_head(device=u32(1) + bob.device[4:36] + alice.device[36:]),
            "signature": sign(bob.device_seed, "post", post_head(device=u32(1) + bob.device[4:36] + alice.device[36:])),
        },
    ),
    ("another identity key than the list's", signed(post_head(device=alice.device[:36] + bob.device[36:]))),
    ("one device's number with another one's keys", {**both, **signed(post_head(device=mixed))}),
    ("signed by another device of the list", {**both, "signature": sign(fixed("second device"), "post", head)}),
    ("a list that is not signed by its account", {"list_signature": sign(bob.seed, "device list", alice.list)}),
    ("another label", {"signature": sign(alice.device_seed, "login", head)}),
    ("a second encoding of the signature", {"signature": second_encoding(good)}),
    ("R of small order", {"signature": signed_with_neutral(alice.device_seed, "post", head)}),
    ("a flipped bit in the time", {"head": flip(head, 220)}),
    ("a head that is none", signed(post_head(number=0))),
]:
    refused("post", why, "post", **{**post, "body": b"hello", **change})

# ---------------------------------------------------------------- moderation
whom = lambda reason, name=b"bob": short(name) + reason
said = lambda reason: dict(bytes=whom(reason.encode()), account_name="bob", reason=reason)
for what, reason in [
    ("and why", "spam"),
    ("without a reason", ""),
    ("with the longest reason", "x" * 500),
    ("in two scripts", "grüße 你好"),
]:
    vector(f"person {what}", "person", **said(reason))
for why, b in [
    ("a reason of 501 bytes", whom(b"x" * 501)),
    ("a second line", whom(b"a\nb")),
    ("an escape", whom(b"\x1b[2J")),
    ("a C1 control", whom("\u009b2J".encode())),
    ("a reason that is not UTF-8", whom(b"\xff")),
    ("no name", whom(b"spam", b"Bob")),
    ("a name beyond the end", u8(9) + b"bob"),
    ("empty", b""),
]:
    refused("person", why, "person", bytes=b)

receipt = short(b"garden") + short(b"alice") + alice.account + u64(1_700_000_000_123)
by = lambda body, purpose="room receipt": dict(body=body, signature=sign(relay_seed, purpose, body), relay=relay)
vector(
    "room receipt",
    "signed-room",
    **by(receipt),
    room="garden",
    account_name="alice",
    account=alice.account,
    time=1_700_000_000_123,
)
for why, change in [
    ("another relay", {**by(receipt), "relay": e_public(fixed("other relay"))}),
    ("cut short", by(receipt[:-1])),
    ("a byte left over", by(receipt + b"\0")),
    ("no room", by(short(b"Garden") + receipt[7:])),
    ("the lobby, which nobody made", by(short(b"lobby") + receipt[7:])),
    ("no name", by(short(b"garden") + short(b"Alice") + receipt[13:])),
    ("another label", by(receipt, "name receipt")),
    ("another account", {**by(receipt), "body": flip(receipt, 20)}),
    ("another time", {**by(receipt), "body": flip(receipt, -1)}),
    ("a second encoding of the signature", {**by(receipt), "signature": second_encoding(by(receipt)["signature"])}),
    ("R of small order", {**by(receipt), "signature": signed_with_neutral(relay_seed, "room receipt", receipt)}),
]:
    refused("room receipt", why, "signed-room", **change)
