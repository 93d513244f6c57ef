"""A network of the test's own: hosts are namespaces joined by veth pairs to one router, some behind a NAT.

Nothing leaves the machine: no namespace has a route outside. What runs inside the hosts is the test's affair.
"""

from __future__ import annotations

import itertools
import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Nat = Literal["masquerade", "endpoint-dependent"]
"""`masquerade` keeps the source port, so a hole can be punched; `endpoint-dependent` draws one for each peer."""
FORWARD = ("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def may_make_networks() -> bool:
    return os.geteuid() == 0


def _run(*words: str) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{shlex.join(words)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace with one address; `inside` goes before a command that shall run there."""

    namespace: str
    address: str
    interface: str

    @property
    def inside(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)

    def run(self, *words: str) -> str:
        return _run(*self.inside, *words)

    def executable(self, path: Path, program: str) -> Path:
        """Writes to `path` an executable that starts `program` in this host with whatever arguments it gets."""
        path.write_text(f'#!/bin/sh\nexec {shlex.join(self.inside)} {shlex.quote(program)} "$@"\n')
        path.chmod(0o755)
        return path

    def nft(self, rules: str) -> None:
        subprocess.run([*self.inside, "nft", "-f", "-"], input=rules, check=True, text=True, capture_output=True)

    def lose(self, percent: int) -> None:
        """Drops this share of the UDP packets that arrive; 0 ends it."""
        with suppress(RuntimeError):
            self.run("nft", "delete", "table", "inet", "loss")
        if percent:
            hook = "chain arriving { type filter hook prerouting priority -300;"
            self.nft(f"table inet loss {{ {hook} meta l4proto udp numgen random mod 100 < {percent} drop; }}\n}}\n")

    def block_udp(self, blocked: bool = True) -> None:
        """Lets no UDP in, as some offices do."""
        with suppress(RuntimeError):
            self.run("nft", "delete", "table", "inet", "noudp")
        if blocked:
            hook = "chain arriving { type filter hook prerouting priority -300;"
            self.nft(f"table inet noudp {{ {hook} iifname != lo meta l4proto udp drop; }}\n}}\n")

    def limit(self, rate: str | None) -> None:
        """Caps what leaves this host, as in "500kbit"; None lifts it."""
        with suppress(RuntimeError):
            self.run("tc", "qdisc", "del", "dev", self.interface, "root")
        if rate is not None:
            self.run(*f"tc qdisc add dev {self.interface} root tbf rate {rate} burst 16kb latency 300ms".split())


def towards(router: str, host: Host, rate: str | None) -> list[list[str]]:
    """The commands that cap what a network's router sends to a host; the first lifts an older cap, if there is one."""
    interface = host.interface[:-1] + "a"
    tc = ["ip", "netns", "exec", router, "tc", "qdisc"]
    commands = [[*tc, "del", "dev", interface, "root"]]
    if rate is not None:
        commands.append([*tc, "add", "dev", interface, "root", *f"tbf rate {rate} burst 16kb latency 300ms".split()])
    return commands


class Network:
    """A router in the middle; `host` adds a machine beside it, `home` one behind a NAT of its own."""

    def __init__(self, name: str) -> None:
        self._prefix = f"bs{os.getpid() % 10000}{name}"
        self._numbers = itertools.count(1)
        self._namespaces: list[str] = []
        self._router = self._namespace("r")
        self._inside(self._router, *FORWARD)

    def _inside(self, namespace: str, *words: str) -> str:
        return _run("ip", "netns", "exec", namespace, *words)

    def _namespace(self, name: str) -> str:
        namespace = f"{self._prefix}-{name}"
        _run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        _run("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace

    def _join(self, near: str, far: str, subnet: str) -> tuple[str, str]:
        """Joins two namespaces: `near` gets .1 of the subnet, `far` .2 and its default route; answers interfaces."""
        number = next(self._numbers)
        one, other = f"v{number}a", f"v{number}b"
        _run("ip", "link", "add", one, "netns", near, "type", "veth", "peer", "name", other, "netns", far)
        for namespace, interface, last in ((near, one, 1), (far, other, 2)):
            _run("ip", "-n", namespace, "addr", "add", f"{subnet}.{last}/24", "dev", interface)
            _run("ip", "-n", namespace, "link", "set", interface, "up")
        _run("ip", "-n", far, "route", "add", "default", "via", f"{subnet}.1")
        return one, other

    def host(self, name: str) -> Host:
        namespace = self._namespace(name)
        subnet = f"10.81.{next(self._numbers)}"
        _, interface = self._join(self._router, namespace, subnet)
        return Host(namespace, f"{subnet}.2", interface)

    def home(self, name: str, nat: Nat = "masquerade") -> Host:
        """A machine behind its own NAT; nothing outside knows a way to its address."""
        gateway = self.host(f"{name}g")
        gateway.run(*FORWARD)
        random = " fully-random" if nat == "endpoint-dependent" else ""
        gateway.nft(
            "table ip home { chain out { type nat hook postrouting priority srcnat; "
            f"oifname {gateway.interface} masquerade{random}; }}\n}}\n"
        )
        # As home routers do: an uninvited packet is dropped before it can claim the port of a mapping still to come.
        gateway.nft(
            "table ip shut { chain in { type filter hook input priority 0; "
            "iifname != lo ct state new meta l4proto udp drop; }\n}\n"
        )
        namespace = self._namespace(name)
        subnet = f"192.168.{next(self._numbers)}"
        _, interface = self._join(gateway.namespace, namespace, subnet)
        return Host(namespace, f"{subnet}.2", interface)

    def another_way(self, host: Host) -> Host:
        """The same machine with a second interface, beside the router and down until `swap`: mobile data, say."""
        number = next(self._numbers)
        one, other, subnet = f"v{number}a", f"v{number}b", f"10.82.{number}"
        _run(
            "ip",
            "link",
            "add",
            one,
            "netns",
            self._router,
            "type",
            "veth",
            "peer",
            "name",
            other,
            "netns",
            host.namespace,
        )
        _run("ip", "-n", self._router, "addr", "add", f"{subnet}.1/24", "dev", one)
        _run("ip", "-n", host.namespace, "addr", "add", f"{subnet}.2/24", "dev", other)
        _run("ip", "-n", self._router, "link", "set", one, "up")
        return Host(host.namespace, f"{subnet}.2", other)

    def swap(self, old: Host, new: Host) -> None:
        """One interface goes and another comes, with the way to everywhere else."""
        _run("ip", "-n", old.namespace, "link", "set", old.interface, "down")
        _run("ip", "-n", new.namespace, "link", "set", new.interface, "up")
        gateway = new.address.rpartition(".")[0] + ".1"
        _run("ip", "-n", new.namespace, "route", "replace", "default", "via", gateway)

    def limit_towards(self, host: Host, rate: str | None) -> None:
        """Caps what reaches this host, and nobody else, as in "500kbit"; None lifts it."""
        for words in towards(self._router, host, rate):
            with suppress(RuntimeError):
                _run(*words)

    @property
    def router(self) -> str:
        return self._router

    def close(self) -> None:
        for namespace in reversed(self._namespaces):
            with suppress(RuntimeError):
                _run("ip", "netns", "del", namespace)
        self._namespaces = []


@contextmanager
def network(name: str) -> Iterator[Network]:
    """At most four letters of `name` are kept apart for interfaces; the namespaces end with the block."""
    made = Network(name[:4])
    try:
        yield made
    finally:
        made.close()
