"""The first step of a worker: bind it to the runtime's life, limit it, then become awslambdaric.

Run by the functions' interpreter as a plain file (``python -I -S boot.py …``), so it uses only the standard
library and the function never sees it: on Linux it replaces itself by ``python -m awslambdaric HANDLER``.

Arguments: the runtime's process id, the limit of private memory in bytes (0 for none), a descriptor that
reaches its end when the runtime dies (-1 where the kernel does it), the interpreter, the handler; then options of
the interpreter, such as a debugger to run under.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys

MAXIMUM_DESCRIPTORS = 1024  # "Lambda quotas": file descriptors


def bind_to_parent(parent: int) -> None:
    """Let the kernel kill this process when the runtime dies, however it dies (Linux)."""
    import ctypes

    pr_set_pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses to bind the worker to the runtime")
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def limit(private_bytes: int) -> None:
    """Bounds that hold across exec: private memory, descriptors, no core files."""
    if private_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (private_bytes, private_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = MAXIMUM_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(MAXIMUM_DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))


def stand_guard(descriptor: int, child: int) -> None:
    """Without the kernel's help: wait beside the worker, and kill its group when the runtime is gone."""
    import select

    poller = select.poll()
    poller.register(descriptor, select.POLLHUP | select.POLLIN)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            if code < 0:
                signal.signal(-code, signal.SIG_DFL) if -code not in (
                    signal.SIGKILL,
                    signal.SIGSTOP,
                ) else None
                os.kill(os.getpid(), -code)
            os._exit(code)
        if poller.poll(20):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(os.getpid(), signal.SIGKILL)


def main(arguments: list[str]) -> None:
    """Set everything up and become the runtime interface client."""
    parent, private_bytes, descriptor = (int(argument) for argument in arguments[:3])
    python, handler, *options = arguments[3:]
    if descriptor < 0:
        bind_to_parent(parent)
    elif child := os.fork():
        stand_guard(descriptor, child)
    limit(private_bytes)
    if descriptor >= 0:
        os.close(descriptor)
    os.execv(python, [python, *options, "-m", "awslambdaric", handler])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
