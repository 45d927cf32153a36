"""Memory that this process keeps, for speed."""

import ctypes
import platform

# From malloc.h. M_MMAP_MAX: no array gets pages of its own, which would be returned when it is
# freed. M_TRIM_THRESHOLD: the end of the heap stays. M_ARENA_MAX: one heap serves all threads.
_KEEP_FREED_MEMORY = {-4: 0, -1: 2**31 - 1, -8: 1}


def keep_freed_memory() -> None:
    """Keep freed memory in this process instead of returning it to the system.

    XLA and PyTorch allocate the large arrays of a step anew each time. GNU's allocator returns such
    memory when it is freed, and then the system clears every page again: 12,000 pages in each step
    of the tutorial's network, a third of its time on JAX. Other allocators are left alone.

    Page: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL(None)
        for parameter, value in _KEEP_FREED_MEMORY.items():
            allocator.mallopt(parameter, value)
