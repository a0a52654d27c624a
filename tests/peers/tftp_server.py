"""A TFTP server that misbehaves as told, in a thread: what no real server does on purpose."""
import socket
import struct
import threading

RRQ, WRQ, DATA, ACK, ERROR, OACK = range(1, 7)


def data(block, payload):
    return struct.pack("!HH", DATA, block & 0xFFFF) + payload


def error(code, text, end=b"\0"):
    return struct.pack("!HH", ERROR, code) + text + end


def oack(**options):
    return struct.pack("!H", OACK) + b"".join(k.encode() + b"\0" + str(v).encode() + b"\0" for k, v in options.items())


class Hostile:
    """`behave(self, request, reply, number)` is called in a thread for each request with a function that sends from a port of its own
    and one that receives there; number counts requests from 0."""

    def __init__(self, behave):
        self.behave = behave
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.errors = []
        self.requests = 0
        self.stopping = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def url(self, name="file"):
        return f"tftp://127.0.0.1:{self.port}/{name}"

    def run(self):
        while not self.stopping:
            packet, client = self.socket.recvfrom(2048)
            if self.stopping:
                return
            threading.Thread(target=self.transfer, args=(packet, client, self.requests), daemon=True).start()
            self.requests += 1

    def transfer(self, packet, client, number):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.1", 0))
            s.settimeout(2)

            def answer(bytes_):
                s.sendto(bytes_, client)

            def hear():
                try:
                    packet, _ = s.recvfrom(70000)
                except OSError:
                    return b""
                if packet[:2] == b"\0\5":
                    self.errors.append(packet[2:])
                return packet
            self.behave(packet, answer, hear, number)

    def close(self):
        self.stopping = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()
