"""The address at which others in the local network find this server."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit, urlunsplit

import streamlit as st

_ANYWHERE = ("192.0.2.1", 9)  # no packet is sent: it only chooses the network card


def class_address() -> str:
    """The address of the Learn page for other machines.

    It is the one that this visitor uses, unless that means only their own machine.
    """
    used = urlsplit(str(st.context.url or ""))
    host = used.hostname or "localhost"
    if _is_own_machine(host):
        host = lan_host() or host
    port = used.port or int(st.get_option("server.port"))
    shown = f"[{host}]" if ":" in host else host
    path = used.path if used.path.rstrip("/").endswith("learn") else "/learn"
    netloc = shown if used.hostname and not used.port else f"{shown}:{port}"
    return urlunsplit((used.scheme or "http", netloc, path.rstrip("/"), "", ""))


def answers_to_others() -> bool:
    """Whether this server listens on more than its own machine."""
    return not _is_own_machine(str(st.get_option("server.address") or "0.0.0.0"))


def lan_host() -> str | None:
    """This machine's address in the local network; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ANYWHERE)
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if ipaddress.ip_address(found).is_loopback else found


def _is_own_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
