"""Runs a command so that it cannot outlive the process that started it: `python tether.py PARENT_PID COMMAND...`.

A script of its own, started with `python -I -S`: it imports the standard library only and costs some 15 ms. On Linux
the kernel does the work (PR_SET_PDEATHSIG survives the exec) and no process is added. Elsewhere this process stays
and watches. It is not done in a `preexec_fn`, because Python code between fork and exec may deadlock in a process
with threads. The law: when PARENT_PID is gone, by whatever signal, the command is gone too.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
WATCH_INTERVAL_S = 0.2


def tie_to_parent(parent: int) -> None:
    """Ask the kernel for SIGKILL when the parent's starting thread ends. Exits when the parent is gone already."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died between our fork and the call above
        sys.exit(1)


def watch(parent: int, command: list[str]) -> int:
    """Run the command as a child; pass signals on; kill it when the parent is gone. Returns its exit code."""
    child = subprocess.Popen(command)  # noqa: S603
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while child.poll() is None:
        if os.getppid() != parent:
            child.kill()
        time.sleep(WATCH_INTERVAL_S)
    return child.returncode


def main(arguments: list[str]) -> None:
    """Become the command (Linux), or stand by it (elsewhere)."""
    parent, command = int(arguments[0]), arguments[1:]
    if sys.platform != "linux":
        sys.exit(watch(parent, command))
    tie_to_parent(parent)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
