import json

from tests.router.cli.conftest import RunningRouter

PACKETS = (
    "udp 192.168.1.10:4000 -> 198.51.100.7:53",
    "tcp 192.168.1.11:5000 -> 198.51.100.7:80",
)


def columns(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()[2:]]


def test_sessions_are_a_table_with_host_names(running: RunningRouter) -> None:
    running.outbound(*PACKETS)
    done = running.command("sessions")
    assert done.exit_code == 0
    first, second = columns(done.output)
    assert first[:7] == [
        "udp", "192.168.1.10:4000", "mail", "->", "198.51.100.7:53", "203.0.113.2:4000", "open",
    ]  # fmt: skip
    assert first[7:] == ["0s", "5m", "28", "bytes", "0", "bytes"]
    assert second[1:4] == ["192.168.1.11:5000", "->", "198.51.100.7:80"]


def test_sessions_are_filtered_and_as_json(running: RunningRouter) -> None:
    running.outbound(*PACKETS)
    done = running.command("sessions", "--host", "mail", "--protocol", "udp", "--json")
    (row,) = json.loads(done.stdout)["sessions"]
    assert (row["internal"], row["host"]) == ("192.168.1.10:4000", "mail")
    assert columns(running.command("sessions", "--protocol", "icmp").output) == []


def test_mappings_are_a_table_and_json(running: RunningRouter) -> None:
    running.outbound(*PACKETS)
    table = columns(running.command("mappings").output)
    assert table[0] == [
        "udp", "192.168.1.10:4000", "mail", "203.0.113.2:4000", "dynamic", "1", "5m",
    ]  # fmt: skip
    rows = json.loads(running.command("mappings", "--host", "192.168.1.11", "--json").stdout)
    assert [row["external"] for row in rows["mappings"]] == ["203.0.113.2:5000"]
