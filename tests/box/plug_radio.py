"""Gives a radio of btvirt's to the kernel of the guest that this runs in.

    plug_radio.py /tmp/bt-server-bredrle

btattach wants a serial line: a pseudo terminal is one, and this carries the bytes between it and
btvirt's socket.
"""

import contextlib
import os
import select
import socket
import subprocess
import sys
import tty

line, end = os.openpty()
tty.setraw(line)
tty.setraw(end)
radio = socket.socket(socket.AF_UNIX)
radio.connect(sys.argv[1])
attached = subprocess.Popen(["btattach", "-B", os.ttyname(end), "-P", "h4"])
with contextlib.suppress(KeyboardInterrupt):
    while attached.poll() is None:
        ready, _, _ = select.select([line, radio], [], [], 1.0)
        if line in ready:
            radio.sendall(os.read(line, 4096))
        if radio in ready:
            data = radio.recv(4096)
            if not data:
                break
            os.write(line, data)
attached.terminate()
