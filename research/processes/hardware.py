"""The processor and the memory of this machine. Times and rounding depend on them.

A name such as "AMD EPYC" is that of many processors. Family, model and vector instructions tell
them apart.
"""

import contextlib
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_INSTRUCTIONS = {
    "AVX2": ("avx2", "hw.optional.avx2_0"),
    "AVX-512": ("avx512f", "hw.optional.avx512f"),
    "AVX512-BF16": ("avx512_bf16", None),
    "AMX-BF16": ("amx_bf16", None),
    "NEON": ("asimd", "hw.optional.AdvSIMD"),
    "NEON-BF16": ("bf16", "hw.optional.arm.FEAT_BF16"),
    "SVE": ("sve", None),
    "SVE-BF16": ("svebf16", None),
    "SME": ("sme", "hw.optional.arm.FEAT_SME"),
}
"""Those that products of float32 and bfloat16 use, by what Linux and sysctl call them."""
_LINUX_NAMES = {
    "vendor": ("vendor_id", "CPU implementer"),
    "family": ("cpu family", "CPU architecture"),
    "model": ("model", "CPU part"),
    "stepping": ("stepping", "CPU revision"),
}
"""What /proc/cpuinfo calls them, on x86 and on ARM."""
_MACOS_NAMES = {
    "vendor": ("machdep.cpu.vendor",),
    "family": ("machdep.cpu.family", "hw.cpufamily"),
    "model": ("machdep.cpu.model", "hw.cpusubfamily"),
    "stepping": ("machdep.cpu.stepping",),
}
_MACOS_CACHES = {
    "L1 data": "hw.l1dcachesize",
    "L1 instruction": "hw.l1icachesize",
    "L2 unified": "hw.l2cachesize",
    "L3 unified": "hw.l3cachesize",
}


@cache
def describe() -> dict[str, Any]:
    """Return what a record says about the machine, as JSON values.

    Returns:
      `processor`: the name; `memory_gib`: the machine's memory, None where it is not known; `cpu`:
      what is known of `vendor`, `family`, `model` and `stepping`, as the system writes them,
      `instructions`, those vector instructions that matter here, and `caches_kib`, by level and
      kind, those of the first core.
    """
    cpu: dict[str, Any] = {}
    with contextlib.suppress(OSError):  # a system that hides them
        if platform.system() == "Linux":
            cpu = of_cpuinfo(Path("/proc/cpuinfo").read_text())
            cpu["caches_kib"] = linux_caches(Path("/sys/devices/system/cpu/cpu0/cache"))
        elif platform.system() == "Darwin":
            asked = ["sysctl", "hw", "machdep.cpu"]
            cpu = of_sysctl(subprocess.run(asked, capture_output=True, text=True).stdout)
    name = cpu.pop("name", None) or platform.processor() or platform.machine()
    return {"processor": name, "cpu": cpu, "memory_gib": _memory_gib()}


def label(machine: Mapping[str, Any]) -> str:
    """Return the name of a processor and what tells it from others of that name.

    Args:
      machine: what `describe` returned, or an older record with nothing but the name.
    """
    name, cpu = str(machine["processor"]), machine.get("cpu", {})
    numbers = [f"{part} {cpu[part]}" for part in ("family", "model", "stepping") if part in cpu]
    details = ", ".join([*numbers, *cpu.get("instructions", [])])
    return f"{name} ({details})" if details else name


def of_cpuinfo(text: str) -> dict[str, Any]:
    """Return `name` and the entries of `cpu` that /proc/cpuinfo has on its first core."""
    fields = _fields(text.partition("\n\n")[0])
    flags = fields.get("flags", fields.get("Features", "")).split()
    found = _named(fields, {"name": ("model name",), **_LINUX_NAMES})
    return found | {
        "instructions": [name for name, (flag, _) in _INSTRUCTIONS.items() if flag in flags]
    }


def linux_caches(folder: Path) -> dict[str, int]:
    """Return the sizes in KiB, given the folder of a core's caches in /sys."""
    sizes = {}
    for path in sorted(folder.glob("index*/size")):  # some virtual machines hide the sizes
        level, kind, size = (
            path.with_name(name).read_text().strip() for name in ("level", "type", "size")
        )
        sizes[f"L{level} {kind.lower()}"] = int(size.removesuffix("K"))
    return sizes


def of_sysctl(text: str) -> dict[str, Any]:
    """Return `name` and the entries of `cpu`, given what `sysctl hw machdep.cpu` prints."""
    fields = _fields(text)
    found = _named(fields, {"name": ("machdep.cpu.brand_string",), **_MACOS_NAMES})
    return found | {
        "instructions": [
            name for name, (_, key) in _INSTRUCTIONS.items() if fields.get(key or "") == "1"
        ],
        "caches_kib": {
            name: int(fields[key]) // 1024 for name, key in _MACOS_CACHES.items() if key in fields
        },
    }


def _fields(text: str) -> dict[str, str]:
    pairs = (re.split(r"\s*:\s*", line, maxsplit=1) for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, value in pairs}


def _named(fields: Mapping[str, str], names: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return by our names what the system has under any of its own."""
    return {name: fields[key] for name, keys in names.items() for key in keys if key in fields}


def _memory_gib() -> float | None:
    if not hasattr(os, "sysconf"):
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
