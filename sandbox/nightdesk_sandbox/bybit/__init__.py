"""Bybit's v5 interface: its words, its public REST calls, and its stream of linear markets."""
