"""What a program needs to speak through `sealpost daemon`: JSON-RPC 2.0, one object a line. Standard library only."""

import itertools
import json
import socket


class Refused(Exception):
    """The daemon's error: `code`, and in `data` the command's own error with what to try."""

    def __init__(self, error):
        super().__init__(error["message"])
        self.code = error["code"]
        self.data = error.get("data")


class Sealpost:
    def __init__(self, path, token):
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(path)
        self.lines = stream.makefile("rw", encoding="utf-8", newline="\n")
        self.numbers = itertools.count(1)
        self.heard = []
        self.call("authorize", token=token)

    def call(self, method, **params):
        """Carries out a command; what happens meanwhile is kept for `events`."""
        number = next(self.numbers)
        call = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        self.lines.write(json.dumps(call) + "\n")
        self.lines.flush()
        while True:
            answer = self.read()
            if answer.get("id") == number:
                if "error" in answer:
                    raise Refused(answer["error"])
                return answer["result"]["events"]
            self.heard.append(answer["params"])

    def events(self):
        """What happens, for ever."""
        while True:
            yield self.heard.pop(0) if self.heard else self.read()["params"]

    def read(self):
        line = self.lines.readline()
        if not line:
            raise SystemExit("the daemon has closed the connection")
        return json.loads(line)
