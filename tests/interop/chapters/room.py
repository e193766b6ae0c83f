"""spec/room.md: posts, moderation, receipts."""

import unicodedata

from .account import name, room, signed_list, text_of
from .primitive import LABELS, Layout, check, sha256, verify

TEXT, EDIT, DELETE, REPLY, REACTION, JOIN, LEAVE, TOPIC, KICK, BAN, UNBAN, REMOVE, NAME, AWAY = range(1, 15)
FIELDS = [
    "relay",
    "room",
    "account-name",
    "account",
    "device",
    "number",
    "previous",
    "time",
    "id",
    "post-kind",
    "target",
    "target-hash",
    "body-hash",
]


def post_head(body):
    layout = Layout(body)
    relay, place, called = layout.take(32), room(text_of(layout.short())), name(text_of(layout.short()))
    account, device, number, previous, time = (
        layout.take(32),
        layout.take(68),
        layout.number(8),
        layout.take(32),
        layout.number(8),
    )
    own, kind, target, target_hash, body_hash = (
        layout.take(16),
        layout.number(1),
        layout.take(16),
        layout.take(32),
        layout.take(32),
    )
    layout.end()
    check(number >= 1 and TEXT <= kind <= AWAY)
    check(any(target) == (kind in (EDIT, DELETE, REPLY, REACTION, REMOVE)))
    check(any(target) or any(target_hash) == (kind in (KICK, BAN, UNBAN)))
    return dict(
        zip(
            FIELDS,
            (relay, place, called, account, device, number, previous, time, own, kind, target, target_hash, body_hash),
        )
    )


def post_hash(head):
    return sha256(LABELS["POST_HASH"], head)


def verify_post(relay, head, signature, its_list, list_signature, body):
    said = post_head(head)
    _, called, account, devices = signed_list(its_list, list_signature)
    check(said["relay"] == relay and said["account-name"] == called and said["account"] == account)
    check(said["device"] in [device.bytes for device in devices])
    verify(said["device"][4:36], "POST", head, signature)
    check(body is None or len(body) <= 16 * 1024 and sha256(body) == said["body-hash"])


def person(body):
    layout = Layout(body)
    called, why = name(text_of(layout.short())), text_of(layout.rest())
    check(len(why.encode()) <= 500 and not any(unicodedata.category(letter) == "Cc" for letter in why))
    return called, why


def receipt(body):
    layout = Layout(body)
    parsed = room(text_of(layout.short())), name(text_of(layout.short())), layout.take(32), layout.number(8)
    layout.end()
    check(parsed[0] != "lobby")
    return parsed
