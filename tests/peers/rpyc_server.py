#!/usr/bin/env python3
"""An RPyC server of python3-rpyc: rpyc_server.py threaded|forking|pool|oneshot|tls [PORT|0 [CERT [CA]]]. Without a port it says
which on stdout, and ends when its standard input does.

`oneshot` serves one connection, as OneShotServer does, and then is started anew on the same port. `tls` is threaded, with the
certificate and key of the file CERT, and takes only clients that have one which CA has signed.
"""
import logging
import os
import sys
import threading
import time
import weakref

import rpyc
from rpyc.utils import server as servers
from rpyc.utils.authenticators import SSLAuthenticator


class Thing:
    def __init__(self):
        self.x = 41
        live.add(self)
        Service.most = max(Service.most, len(live))

    def hello(self, name):
        return "hello " + name


live = weakref.WeakSet()


class Service(rpyc.Service):
    """Methods, callbacks, exceptions, attributes, references, large values."""
    most = 0
    exposed_const = 1234

    def on_connect(self, conn):
        self.conn = conn

    def exposed_ping(self):
        return "pong"

    def exposed_echo(self, x):
        return x

    def exposed_upload(self, data):
        return len(data)

    def exposed_download(self, n):
        return b"x" * n

    def exposed_add(self, a, b=1):
        return a + b

    def exposed_compute(self, n):
        return sum(i * i for i in range(n))

    def exposed_thing(self):
        return Thing()

    def exposed_things(self, n):
        return tuple(Thing() for _ in range(n)) + ("end",)

    def exposed_peak(self):
        return Service.most, len(live)

    def exposed_fail(self):
        raise ValueError("boom", 7)

    def exposed_stop(self):
        raise StopIteration

    def exposed_ask_back(self):
        """What servers ask of their clients: the root (there is none), a ping, and nothing else."""
        self.conn.ping(data="are you there")
        return self.conn.root is None

    def exposed_wrong_echo(self, x):
        return x[:-1] + b"?"

    def exposed_sleep(self, seconds):
        time.sleep(seconds)
        return seconds


def make(kind, port):
    cls = {"threaded": servers.ThreadedServer, "tls": servers.ThreadedServer, "forking": servers.ForkingServer, "pool": servers.ThreadPoolServer,
           "oneshot": servers.OneShotServer}[kind]
    proof = SSLAuthenticator(sys.argv[3], sys.argv[3], *sys.argv[4:5]) if kind == "tls" else None
    return cls(Service, hostname="127.0.0.1", port=port, logger=quiet(), authenticator=proof,
               protocol_config={"allow_public_attrs": True})


def quiet():
    logger = logging.getLogger("quiet")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def main():
    port = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if port == 0:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        server = make(sys.argv[1], port)
        server._listen()
        if port == 0:
            port = server.port
            print(port, flush=True)
        server.start()
        if sys.argv[1] != "oneshot":
            break


if __name__ == "__main__":
    main()
