import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.mesh.resolver.endpoint_slices import ApiError
from libs.mesh.resolver.kubernetes_api import Lines


@settings(derandomize=True, deadline=None)
@given(
    st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line and bool(line.strip())), max_size=8), st.data()
)
def test_lines_come_out_whole_however_they_are_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    cut = Lines()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += cut.feed(stream[start:end])
    assert found == lines


def test_a_line_may_not_grow_without_end() -> None:
    lines = Lines(limit=10)
    assert lines.feed(b"12345\n1234567890") == [b"12345"]
    with pytest.raises(ApiError, match="longer than 10 bytes"):
        lines.feed(b"1")


def test_empty_lines_are_left_out() -> None:
    assert Lines().feed(b"\n a \n\r\n") == [b" a "]
