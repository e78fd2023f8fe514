"""Hosts and networks that the operator opens."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from worker.errors import StartupError, UrlRefused
from worker.fetch.policy import Policy
from worker.fetch.target import FetchTarget, read_target

ALLOW = "minio:9000, *.corp.example, 10.1.0.0/16, 10.2.0.1:8080, [fd00::/8]:81, files.example.com:8443, 169.254.7.7"


def check(policy: Policy, target: FetchTarget, address: str) -> None:
    """Check the URL, and the address that its name resolves to."""
    policy.check(target)
    policy.check_addresses(target.host, target.port, [ip_address(address)])


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://minio:9000/", "10.9.9.9"),
        ("https://a.corp.example/", "192.168.0.1"),
        ("https://a.b.corp.example/", "8.8.8.8"),
        ("http://10.1.2.3/", "10.1.2.3"),
        ("http://named.example/", "10.1.2.3"),
        ("http://10.2.0.1:8080/", "10.2.0.1"),
        ("http://[fd00::1]:81/", "fd00::1"),
        ("https://files.example.com:8443/", "8.8.8.8"),
        ("http://169.254.7.7/", "169.254.7.7"),
        ("https://public.example/", "2606:4700::1"),
    ],
)
def test_opened(url: str, address: str) -> None:
    """Policy allows the addresses of an opened name, and the addresses of an opened network, at their own ports."""
    policy, target = Policy.read(ALLOW, "80, 443"), read_target(url)
    check(policy, target, address)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://minio/", "10.9.9.9"),
        ("http://minio:9001/", "10.9.9.9"),
        ("http://minio:9000/", "169.254.169.254"),
        ("http://minio:9000/", "::ffff:10.9.9.9"),
        ("http://notminio:9000/", "10.9.9.9"),
        ("https://corp.example/", "192.168.0.1"),
        ("https://acorp.example/", "192.168.0.1"),
        ("https://a.corp.example.evil.example/", "192.168.0.1"),
        ("https://a.corp.example:9000/", "192.168.0.1"),
        ("http://10.2.0.1/", "10.2.0.1"),
        ("http://10.2.0.2:8080/", "10.2.0.2"),
        ("http://[fd00::1]/", "fd00::1"),
        ("https://public.example:8443/", "8.8.8.8"),
        ("https://public.example:9000/", "10.9.9.9"),
        ("https://public.example/", "fe80::1%eth0"),
    ],
)
def test_not_opened(url: str, address: str) -> None:
    """Policy refuses other ports, names that only end alike, and link-local addresses of an opened name."""
    policy, target = Policy.read(ALLOW, "80, 443"), read_target(url)
    with pytest.raises(UrlRefused):
        check(policy, target, address)


@pytest.mark.parametrize(
    "allow", ["10.0.0.1/8", "a b", "http://x", "fd00::/8", "[fd00::", "*", "x:port", "*.*.x", "10.0.0"]
)
def test_a_bad_entry_stops_the_start(allow: str) -> None:
    """Policy.read raises StartupError with the bad entry of WORKER_FETCH_ALLOW."""
    with pytest.raises(StartupError, match="WORKER_FETCH_ALLOW"):
        Policy.read(f"good.example, {allow}", "80")


@pytest.mark.parametrize("ports", ["http", "0", "65536", "-1"])
def test_a_bad_port_stops_the_start(ports: str) -> None:
    """Policy.read raises StartupError with the bad entry of WORKER_FETCH_PORTS."""
    with pytest.raises(StartupError, match="WORKER_FETCH_PORTS"):
        Policy.read("", ports)
