from io import StringIO

from rich.console import Console

from libs.cli.channels import ChannelRow, EndpointRow, Snapshot, table


def endpoint(address: str, **changes: object) -> EndpointRow:
    row = EndpointRow(
        address=address,
        zone="eu-1",
        weight=1.0,
        state="CLOSED",
        cost=0.0125,
        in_flight=3,
        limit=None,
        attempts=100,
        failures=7,
        times_opened=0,
        ejections=0,
    )
    return EndpointRow(**{**row, **changes})  # type: ignore[typeddict-item] # a test names the fields it changes


def channel(*endpoints: EndpointRow, panicking: bool = False) -> ChannelRow:
    return ChannelRow(
        target="k8s:///memory:grpc",
        policy="peak_ewma",
        calls=100,
        retries=0,
        retries_left=100.0,
        shed=0,
        panicking=panicking,
        endpoints=list(endpoints),
    )


def drawn(now: Snapshot, before: Snapshot, names: dict[str, str]) -> list[str]:
    console = Console(file=StringIO(), width=200)
    console.print(table(now, before, 2.0, names))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().splitlines()


def test_every_endpoint_has_a_row_with_its_name_state_and_rate() -> None:
    before = {"conversation-0": [channel(endpoint("a:1", attempts=60))]}
    now = {"conversation-0": [channel(endpoint("a:1"), endpoint("b:1", state="OPEN", limit=20, times_opened=2))]}
    lines = drawn(now, before, {"a:1": "memory-0"})
    known = next(line for line in lines if "memory-0" in line)
    assert "CLOSED" in known
    assert " 20 " in known  # 40 attempts in 2 s
    other = next(line for line in lines if "b:1" in line)
    assert "k8s:///memory:grpc" in other
    assert "OPEN" in other
    assert "3/20" in other


def test_panic_and_silence_show() -> None:
    lines = drawn({"auth-0": None, "memory-0": [channel(endpoint("a:1"), panicking=True)]}, {}, {})
    assert any("auth-0" in line and "does not answer" in line for line in lines)
    assert any("memory-0" in line and "panic" in line for line in lines)
