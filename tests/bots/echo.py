#!/usr/bin/env python3
"""Says again what somebody says to it: echo.py SOCKET @bob < TOKEN

    sealpost bot add echo --for @bob
"""

import sys

from sealpost_rpc import Sealpost

path, person = sys.argv[1:]
sealpost = Sealpost(path, sys.stdin.readline().strip())
sealpost.call("subscribe")
print("ready", flush=True)
for event in sealpost.events():
    if event["event"] == "message" and event["from"] == person and event["state"] == "received":
        sealpost.call("send", to=person, text="you said: " + event["text"], wait="queued")
