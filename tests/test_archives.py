"""Archives from strangers: what an honest one holds comes back, and the others are refused."""

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from research.files import archives

# Each test's folder serves all of its examples, which is intended here.
several_examples = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content), kind
    return info


def read(path: Path, max_bytes: int = 10**7) -> list[tuple[str, bytes]]:
    return list(archives.read_tar(path, max_bytes))


names = st.lists(st.from_regex(r"[a-z0-9é ]{1,20}", fullmatch=True), min_size=1, max_size=3)


@several_examples
@given(files=st.dictionaries(names.map("/".join), st.binary(max_size=2000), max_size=5))
def test_an_archive_gives_back_what_went_in(files: dict[str, bytes], tmp_path: Path) -> None:
    members = [(member(name, content), content) for name, content in files.items()]
    folder = (member("folder", kind=tarfile.DIRTYPE), b"")
    assert dict(read(tar_of(tmp_path / "a.tar.gz", folder, *members))) == files


@several_examples
@given(
    before=names.map("/".join),
    slash=st.sampled_from("/\\"),
    after=names.map("/".join),
    shape=st.sampled_from(
        ["{s}{b}", "{b}{s}..{s}{a}", "..{s}{a}", "{b}{s}..", "c:{s}{a}", "c:{a}"]
    ),
)
def test_names_outside_the_archive_are_refused(
    before: str, slash: str, after: str, shape: str, tmp_path: Path
) -> None:
    name = shape.format(b=before, s=slash, a=after)
    archive = tar_of(tmp_path / "a.tar.gz", (member("good"), b""), (member(name), b""))
    with pytest.raises(ValueError, match="expected only files and folders") as raised:
        read(archive)
    assert repr(name) in str(raised.value)


@several_examples
@given(
    kind=st.sampled_from(
        [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
    ),
    name=names.map("/".join),
)
def test_links_and_devices_are_refused(kind: bytes, name: str, tmp_path: Path) -> None:
    info = member(name, kind=kind)
    info.linkname = "target"
    with pytest.raises(ValueError, match="expected only files and folders") as raised:
        read(tar_of(tmp_path / "a.tar.gz", (info, b"")))
    assert repr(name) in str(raised.value)


@several_examples
@given(size=st.integers(0, 30_000))
def test_an_archive_may_unpack_to_the_limit_and_no_further(size: int, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "a.tar.gz", (member("zeros", bytes(size)), bytes(size)))
    unpacked = 10_240 * -(-(512 + -(-size // 512) * 512 + 1024) // 10_240)  # tar's own padding
    assert len(read(archive, max_bytes=unpacked)[0][1]) == size
    with pytest.raises(ValueError, match=f"at most {unpacked - 1:,} bytes"):
        read(archive, max_bytes=unpacked - 1)


def test_a_bomb_stops_early(tmp_path: Path) -> None:
    """Neither a huge file nor a huge header is read to its end."""
    bomb = bytes(50_000_000)
    header = member("././@PaxHeader", bomb, tarfile.XHDTYPE)
    for hostile in (member("bomb", bomb), header):
        archive = tar_of(tmp_path / "bomb.tar.gz", (hostile, bomb))
        assert archive.stat().st_size < 100_000
        with pytest.raises(ValueError, match="at most 1,000,000 bytes"):
            read(archive, max_bytes=1_000_000)


@several_examples
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_archive_is_refused(share: float, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    whole = tar_of(tmp_path / "a.tar.gz", (member("a", content), content)).read_bytes()
    (tmp_path / "b.tar.gz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ValueError, match=r"expected a whole .tar.gz"):
        read(tmp_path / "b.tar.gz")


@settings(several_examples, max_examples=200)
@given(position=st.integers(min_value=0), flip=st.integers(1, 255))
def test_a_flipped_byte_never_changes_the_content(position: int, flip: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * 4
    damaged = bytearray(tar_of(tmp_path / "a.tar.gz", (member("a", content), content)).read_bytes())
    damaged[position % len(damaged)] ^= flip
    (tmp_path / "b.tar.gz").write_bytes(damaged)
    try:
        files = read(tmp_path / "b.tar.gz")
    except ValueError:
        return
    assert files == [("a", content)]  # the byte was in gzip's own header, such as its time
