"""How this process allocates memory."""

import ctypes
import platform

# Numbers from malloc.h. M_MMAP_MAX = 0: no array gets pages of its own, which would be returned
# as soon as it is freed. M_TRIM_THRESHOLD: the heap never shrinks. M_ARENA_MAX = 1: all threads
# share one heap.
_KEEP_FREED_MEMORY = {-4: 0, -1: 2**31 - 1, -8: 1}


def keep_freed_memory() -> None:
    """Keep freed memory in this process instead of returning it to the system.

    XLA and PyTorch allocate the large arrays of a step anew each time. GNU's allocator returns such
    memory when it is freed, and the system must clear every page again: 12,000 pages in each step
    of the tutorial's network, a third of its time on JAX on an AMD EPYC. Other allocators are left
    as they are.

    Page: https://man7.org/linux/man-pages/man3/mallopt.3.html
    """
    if platform.libc_ver()[0] == "glibc":
        allocator = ctypes.CDLL(None)
        for parameter, value in _KEEP_FREED_MEMORY.items():
            allocator.mallopt(parameter, value)
