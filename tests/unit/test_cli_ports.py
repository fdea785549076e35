"""A program gets the port that was wanted if it can, keeps it, and moves only when it has to."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from masterops_dagster.cli.ports import HOST, Ports, answers, any_free, is_free


@contextmanager
def taken(port: int) -> Iterator[None]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
        yield


def test_the_wanted_port_is_used_while_it_is_free(tmp_path: Path) -> None:
    wanted = any_free()
    assert Ports(tmp_path / "ports.json").claim("webserver", wanted) == wanted


def test_a_taken_port_gives_the_next_free_one_and_that_one_is_kept(tmp_path: Path) -> None:
    wanted = any_free()
    with taken(wanted):
        got = Ports(tmp_path / "ports.json").claim("webserver", wanted)
    assert wanted < got <= wanted + 200
    assert Ports(tmp_path / "ports.json").claim("webserver", wanted) == got


def test_a_kept_port_that_was_taken_meanwhile_is_given_up(tmp_path: Path) -> None:
    wanted = any_free()
    kept = Ports(tmp_path / "ports.json").claim("webserver", wanted)
    with taken(kept):
        assert Ports(tmp_path / "ports.json").claim("webserver", wanted) != kept


def test_another_wish_is_another_port(tmp_path: Path) -> None:
    first, second = any_free(), any_free()
    ports = Ports(tmp_path / "ports.json")
    ports.claim("webserver", first)
    assert ports.claim("webserver", second) == second


def test_two_programs_never_share_a_port(tmp_path: Path) -> None:
    wanted = any_free()
    ports = Ports(tmp_path / "ports.json")
    assert ports.claim("webserver", wanted) != ports.claim("world", wanted)


def test_zero_takes_any_free_port_and_keeps_it(tmp_path: Path) -> None:
    port = Ports(tmp_path / "ports.json").claim("webserver", 0)
    assert port > 0
    assert Ports(tmp_path / "ports.json").claim("webserver", 0) == port


def test_what_listens_is_not_free() -> None:
    port = any_free()
    assert is_free(port)
    with taken(port):
        assert not is_free(port)


def test_a_socket_answers_while_something_listens_there_and_a_stale_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "s"
    assert not answers(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert answers(path)
    assert not answers(path)
