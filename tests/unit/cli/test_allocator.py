import subprocess
import sys

import pytest

FREED = """
import ctypes, gc
from pathlib import Path
from zerogex.cli.allocator import give_back_what_is_free

def resident_kb():
    return int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])

assert give_back_what_is_free()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
for size in (8 << 20, 7 << 20):  # left alone, glibc keeps the second, because it has seen a larger one freed
    block = libc.malloc(size)
    ctypes.memset(ctypes.c_void_p(block), 1, size)
    full = resident_kb()
    libc.free(block)
    print((full - resident_kb()) << 10 >= size // 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_large_blocks_are_given_back_whatever_was_freed_before() -> None:
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["True", "True"], done.stderr
