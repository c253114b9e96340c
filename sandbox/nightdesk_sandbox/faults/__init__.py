"""Faults that the exchange can be made to have while it runs, one class for each.

A fault is a small model of what `POST /sandbox/fault` takes, and the hooks of `Fault` that it fills: what a REST call
is answered instead, what becomes of an update on its way to subscribers, which time the exchange shows. `Faults` asks
those that are on. By REST the exchange tells the truth, except where a fault keeps REST from answering or is one of a
single market.
"""

from nightdesk_sandbox.faults.active import Faults
from nightdesk_sandbox.faults.base import ExchangeControls, Fault
from nightdesk_sandbox.faults.catalogue import AnyFault, parse_fault

__all__ = ["AnyFault", "ExchangeControls", "Fault", "Faults", "parse_fault"]
