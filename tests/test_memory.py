"""The allocator of the commands."""

import platform

import pytest
from conftest import python


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators are left alone")
def test_commands_keep_the_memory_that_they_free():
    code = """
import resource, sys
import numpy as np
from research.processes import memory
if sys.argv[1] == "kept":
    memory.keep_freed_memory()
for step in range(11):
    if step == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    array = np.ones(5_000_000)
    del array
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    faults = {how: int(python("-c", code, how).out) for how in ("kept", "given back")}
    # 40 MB are 10,000 pages of 4 KB. Larger pages make fewer faults.
    assert faults["kept"] < 100 < faults["given back"]
