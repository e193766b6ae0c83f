#!/usr/bin/env python3
"""Rolls dice in a public room, for whoever says `roll 2d6` there: dice.py SOCKET '#games' < TOKEN

    sealpost bot add dice --for '#games'
"""

import random
import re
import sys

from sealpost_rpc import Refused, Sealpost

path, room = sys.argv[1:]
sealpost = Sealpost(path, sys.stdin.readline().strip())
me = "@" + sealpost.call("me")[0]["name"]
sealpost.call("subscribe")
print("ready", flush=True)
for event in sealpost.events():
    if event["event"] != "message" or event["conversation"] != room or event["from"] == me:
        continue
    asked = re.fullmatch(r"roll (\d{1,2})d(\d{1,4})", event["text"])
    if not asked or not int(asked[2]):
        continue
    rolled = [random.randint(1, int(asked[2])) for _ in range(int(asked[1]))]
    text = f"{event['from']} rolled {' '.join(map(str, rolled))}, together {sum(rolled)}"
    try:
        sealpost.call("send", to=room, text=text)
    except Refused as refused:
        print(f"not said: {refused}", file=sys.stderr, flush=True)
