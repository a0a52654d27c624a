"""A TFTP server of one small file that reads by recvmmsg with a time-out of 20 ms, and gets it wrong as told: recvmmsg_server.py spin|hold.

spin: the socket is non-blocking, so that the time-out means nothing. hold: it blocks, and the time-out is looked at only after a datagram.
"""
import ctypes
import os
import socket
import struct
import sys

BATCH = 4


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(Iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t), ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", Msghdr), ("len", ctypes.c_uint)]


class Timespec(ctypes.Structure):
    _fields_ = [("sec", ctypes.c_long), ("nsec", ctypes.c_long)]


libc = ctypes.CDLL(None, use_errno=True)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
s.setblocking(sys.argv[1] == "hold")
messages, rooms, names, iovecs = (Mmsghdr * BATCH)(), [], [], []
for m in messages:
    rooms.append(ctypes.create_string_buffer(2048))
    names.append(ctypes.create_string_buffer(16))
    iovecs.append(Iovec(ctypes.addressof(rooms[-1]), 2048))
    m.hdr.name = ctypes.addressof(names[-1])
    m.hdr.iov = ctypes.pointer(iovecs[-1])
    m.hdr.iovlen = 1
print(s.getsockname()[1], os.getpid(), flush=True)
while True:
    for m in messages:
        m.hdr.namelen = 16
    n = libc.recvmmsg(s.fileno(), messages, BATCH, 0, ctypes.byref(Timespec(0, 20000000)))
    for i in range(max(n, 0)):
        if rooms[i].raw[:2] == b"\0\1":
            port, host = struct.unpack("!H4s", names[i].raw[2:8])
            s.sendto(b"\0\3\0\1small", (socket.inet_ntoa(host), port))
