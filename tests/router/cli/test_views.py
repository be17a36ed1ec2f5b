import json

import pytest

from tests.router.cli.conftest import RunningRouter, command

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


@pytest.mark.parametrize("view", ["sessions", "mappings"])
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--host", "mial"], "'mial' is neither an IPv4 address nor a host with a name; "),
        (["--host", "mial"], "these are: mail"),
        (["--protocol", "foo"], "'foo' is not tcp, udp, icmp or a number up to 255"),
        (["--protocol", "256"], "'256' is not tcp, udp, icmp or a number up to 255"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_what_can(
    running: RunningRouter, view: str, arguments: list[str], sentence: str
) -> None:
    done = running.command(view, *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr


@pytest.mark.parametrize("protocol", ["TCP", "6"])
def test_a_protocol_is_a_name_or_a_number(running: RunningRouter, protocol: str) -> None:
    running.outbound(*PACKETS)
    (row,) = columns(running.command("sessions", "--protocol", protocol).output)
    assert row[0] == "tcp"


def test_without_options_the_router_is_the_one_of_the_usual_configuration(
    running: RunningRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.cli.options.DEFAULT_CONFIG", running.config_path)
    assert command("sessions").exit_code == 0
