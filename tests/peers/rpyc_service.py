"""An RPyC service whose every call has a known cost on the wire: rpyc_service.py PORT_FILE."""
import sys
import time

import rpyc
from rpyc.utils.server import ThreadedServer


class Thing:
    def __init__(self, n):
        self.n = n

    def exposed_value(self):
        return self.n


class Known(rpyc.Service):
    exposed_answer = 42

    def __init__(self):
        self.kept = []

    def exposed_ping(self):
        return "pong"

    def exposed_item(self, i):
        return i * i

    def exposed_thing(self, n):
        return Thing(n)

    def exposed_fail(self, text):
        raise ValueError(text)

    def exposed_sleep(self, seconds):
        time.sleep(seconds)
        return None

    def exposed_call_back(self, fn, n):
        return sum(fn(i) for i in range(n))

    def exposed_blob(self, n):
        return b"x" * n


if __name__ == "__main__":
    server = ThreadedServer(Known, hostname="127.0.0.1", port=0, protocol_config={"allow_public_attrs": False})
    with open(sys.argv[1] + ".new", "w") as f:
        f.write(str(server.port))
    import os
    os.rename(sys.argv[1] + ".new", sys.argv[1])
    server.start()
