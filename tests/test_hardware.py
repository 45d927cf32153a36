"""What a record says about the processor, on systems that this one is not."""

import pytest

from research.processes import hardware

ZEN = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: {model}
model name\t: AMD EPYC
stepping\t: 1
flags\t\t: fpu sse2 avx2 {flags}

processor\t: 1
model name\t: another core
"""
GRAVITON = """\
processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd sve bf16 svebf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""
APPLE = """\
hw.memsize: 17179869184
hw.l1dcachesize: 65536
hw.l2cachesize: 4194304
hw.cpufamily: -634136515
hw.optional.AdvSIMD: 1
hw.optional.arm.FEAT_BF16: 1
hw.optional.arm.FEAT_SME: 0
machdep.cpu.brand_string: Apple M2
"""
INTEL_MAC = """\
hw.optional.avx2_0: 1
hw.optional.avx512f: 0
machdep.cpu.brand_string: Intel(R) Core(TM) i7: fast
machdep.cpu.family: 6
machdep.cpu.model: 158
machdep.cpu.stepping: 10
machdep.cpu.vendor: GenuineIntel
"""


def described(found):
    return {"processor": found.pop("name", "unknown"), "cpu": found}


def test_processors_of_one_name_are_told_apart():
    zen4 = hardware.of_cpuinfo(ZEN.format(model=17, flags="avx512f avx512_bf16"))
    zen3 = hardware.of_cpuinfo(ZEN.format(model=1, flags=""))
    assert (zen4["name"], zen4["vendor"]) == ("AMD EPYC", "AuthenticAMD")
    assert hardware.label(described(zen4)) == (
        "AMD EPYC (family 25, model 17, stepping 1, AVX2, AVX-512, AVX512-BF16)"
    )
    assert hardware.label(described(zen3)) == "AMD EPYC (family 25, model 1, stepping 1, AVX2)"
    hidden = hardware.of_cpuinfo(ZEN.format(model=17, flags="avx512f"))  # by a virtual machine
    assert "AVX512-BF16" not in hardware.label(described(hidden))


def test_an_older_record_has_only_the_name():
    assert hardware.label({"processor": "AMD EPYC"}) == "AMD EPYC"


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (
            hardware.of_cpuinfo,
            GRAVITON,
            {
                "vendor": "0x41",
                "family": "8",
                "model": "0xd40",
                "stepping": "1",
                "instructions": ["NEON", "NEON-BF16", "SVE", "SVE-BF16"],
            },
        ),
        (
            hardware.of_sysctl,
            APPLE,
            {
                "name": "Apple M2",
                "family": "-634136515",
                "instructions": ["NEON", "NEON-BF16"],
                "caches_kib": {"L1 data": 64, "L2 unified": 4096},
            },
        ),
        (
            hardware.of_sysctl,
            INTEL_MAC,
            {
                "name": "Intel(R) Core(TM) i7: fast",
                "vendor": "GenuineIntel",
                "family": "6",
                "model": "158",
                "stepping": "10",
                "instructions": ["AVX2"],
                "caches_kib": {},
            },
        ),
        (hardware.of_cpuinfo, "", {"instructions": []}),
    ],
)
def test_what_other_systems_say(read, text, expected):
    assert read(text) == expected


def test_sizes_of_caches(tmp_path):
    for index, level, kind, size in ((0, "1", "Data", "48K"), (2, "2", "Unified", "2048K")):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "index3").mkdir()  # without a size
    assert hardware.linux_caches(tmp_path) == {"L1 data": 48, "L2 unified": 2048}
    assert hardware.linux_caches(tmp_path / "missing") == {}


def test_this_machine_has_a_name(monkeypatch):
    assert hardware.describe()["processor"]
    hardware.describe.cache_clear()
    monkeypatch.setattr("platform.system", lambda: "Windows")
    monkeypatch.setattr("platform.processor", lambda: "Intel64 Family 6")
    try:
        assert hardware.describe()["processor"] == "Intel64 Family 6"
        assert hardware.describe()["cpu"] == {}
    finally:
        hardware.describe.cache_clear()
