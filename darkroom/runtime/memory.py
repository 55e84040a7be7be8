"""How much memory a worker uses.

Lambda bounds a function by a control group. Unprivileged processes may not make one, so two bounds take its
place: resident memory, sampled, with a kill as Lambda's (`Runtime.OutOfMemory`), and RLIMIT_DATA well above
it against one huge allocation between two samples, which Python sees as MemoryError. RLIMIT_AS is not used:
it counts address space that is only reserved, and allocators and thread stacks reserve much more than they
use. RLIMIT_DATA counts the stack of each thread (8 MiB) in full, hence the generous margin.
"""

from __future__ import annotations

import sys
from pathlib import Path

MEBIBYTE = 1024 * 1024
_LINUX = sys.platform == "linux"
_THREAD_STACKS = 256 * MEBIBYTE


def private_limit_bytes(memory_mb: int) -> int:
    """RLIMIT_DATA for a function of this size; 0 where the system does not count it (only Linux does)."""
    return memory_mb * MEBIBYTE + _THREAD_STACKS if _LINUX else 0


def resident_bytes(pid: int) -> int:
    """Resident memory now; 0 when the process is gone."""
    if not _LINUX:
        return _resident_elsewhere(pid)
    try:
        fields = Path(f"/proc/{pid}/statm").read_bytes().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[1]) * _PAGE_BYTES


def peak_resident_bytes(pid: int) -> int:
    """The most resident memory up to now; where the system does not keep it, what is resident now."""
    if not _LINUX:
        return _resident_elsewhere(pid)
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    start = status.find(b"VmHWM:")
    return int(status[start + 6 : status.index(b"\n", start)].split()[0]) * 1024 if start >= 0 else 0


def _resident_elsewhere(pid: int) -> int:
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _page_bytes() -> int:
    import resource

    return resource.getpagesize()


_PAGE_BYTES = _page_bytes()
