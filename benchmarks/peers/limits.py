"""What limits.c does, where there is no C compiler: the same calls, lines and numbers. No CRC-32C, which Python lacks."""

import json
import mmap
import os
import resource
import select
import socket
import subprocess
import sys
import time

MIB = 1 << 20


def cpu_of(usage):
    return usage.ru_utime + usage.ru_stime


def tell(size, seconds, cpu):
    print(json.dumps({"bytes": size, "seconds": seconds, "cpuSeconds": cpu}), flush=True)


class Clock:
    def __init__(self):
        self.cpu = cpu_of(resource.getrusage(resource.RUSAGE_SELF))
        self.at = time.monotonic()

    def tell(self, size):
        seconds = time.monotonic() - self.at
        tell(size, seconds, cpu_of(resource.getrusage(resource.RUSAGE_SELF)) - self.cpu)


def memory(size):
    """Page-aligned, and touched."""
    block = mmap.mmap(-1, size)
    block.write(b"k" * size)
    return memoryview(block)


def pread(path, chunk):
    buffer = memory(int(chunk))
    fd = os.open(path, os.O_RDONLY)
    clock, at = Clock(), 0
    while (n := os.preadv(fd, [buffer], at)) > 0:
        at += n
    clock.tell(at)


def memcpy(size):
    a, b = memory(64 * MIB), memory(64 * MIB)
    clock, done = Clock(), 0
    while done < int(size):
        b[:] = a
        done += len(a)
    clock.tell(done)


def write(path, size, chunk):
    chunk = int(chunk)
    pool = memory(max(chunk, 8 * MIB // chunk * chunk))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    clock, done, at = Clock(), 0, 0
    while done + chunk <= int(size):
        if os.write(fd, pool[at : at + chunk]) != chunk:
            sys.exit("a short write")
        done += chunk
        at = at + chunk if at + 2 * chunk <= len(pool) else 0
    clock.tell(done)
    os.unlink(path)


def send(how, port, path):
    fd = os.open(path, os.O_RDONLY)
    size = os.fstat(fd).st_size
    to = socket.create_connection(("127.0.0.1", int(port)))
    clock, at = Clock(), 0
    buffer = memory(MIB)
    while at < size:
        if how == "sendfile":
            at += os.sendfile(to.fileno(), fd, at, min(size - at, 0x7FFFF000))
        else:
            n = os.preadv(fd, [buffer], at)
            to.sendall(buffer[:n])
            at += n
    to.shutdown(socket.SHUT_WR)
    seconds = time.monotonic() - clock.at
    cpu = cpu_of(resource.getrusage(resource.RUSAGE_SELF)) - clock.cpu
    while to.recv(1):
        pass
    tell(at, seconds, cpu)


def reader(how):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    buffer = memory(MIB)
    kept = []
    while True:
        if sys.stdin in select.select([listener, sys.stdin], [], [])[0]:
            return
        connection = listener.accept()[0]
        if how == "stall":
            kept.append(connection)
            continue
        clock, size, first = Clock(), 0, None
        while (n := connection.recv_into(buffer, MIB, socket.MSG_TRUNC if how == "drop" else 0)) > 0:
            first = first or time.monotonic()
            size += n
        clock.at = first or time.monotonic()
        seconds = time.monotonic() - clock.at
        connection.close()
        tell(size, seconds, cpu_of(resource.getrusage(resource.RUSAGE_SELF)) - clock.cpu)


def run(drain, _, *argv):
    start = time.monotonic()
    child = subprocess.Popen(argv, stdout=subprocess.PIPE if drain == "drain" else subprocess.DEVNULL)
    size = 0
    if child.stdout is not None:
        buffer = memory(MIB)
        while (n := os.readv(child.stdout.fileno(), [buffer])) > 0:
            size += n
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - start
    told = {"status": os.waitstatus_to_exitcode(status), "seconds": seconds, "cpuSeconds": cpu_of(usage)}
    print(json.dumps({**told, "maxRssBytes": usage.ru_maxrss * 1024, "stdoutBytes": size}))


CALLS = {"pread": pread, "memcpy": memcpy, "write": write, "send": send, "reader": reader, "run": run}

if len(sys.argv) < 2 or sys.argv[1] not in CALLS:
    sys.exit("limits.py: see the head of limits.c for what it can be asked")
CALLS[sys.argv[1]](*sys.argv[2:])
