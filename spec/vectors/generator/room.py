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
from .people import alice, bob, relay

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
KINDS = {1: "text", 2: "edit", 3: "delete", 4: "reply", 5: "reaction", 6: "join", 7: "leave"}


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
for kind, what in KINDS.items():
    if kind not in (1, 4):
        said = dict(kind=kind, text=b"" if kind in (3, 6, 7) else b"hello", **(aim if kind < 6 else {}))
        vector(f"post head, kind {kind}, {what}", "post-head", bytes=post_head(**said), **parsed(**said))
said = dict(number=2**64 - 1, previous=fixed("previous"))
vector("post head with a previous one", "post-head", bytes=post_head(**said), **parsed(**said))
for why, b in [
    ("number 0", post_head(number=0)),
    ("a reply without target", post_head(kind=4)),
    ("a text with target", post_head(target=uuid)),
    ("a text without target and with its hash", post_head(target_hash=fixed("target"))),
    ("an unknown kind", post_head(kind=8)),
    ("no room's name", post_head(room=b"Lobby")),
    ("a byte left over", head + b"\0"),
    ("kind 0", post_head(kind=0)),
    ("an edit without target", post_head(kind=2)),
    ("a delete without target", post_head(kind=3)),
    ("a reaction without target", post_head(kind=5)),
    ("a join with target", post_head(kind=6, target=uuid)),
    ("a leave with target", post_head(kind=7, target=uuid)),
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
