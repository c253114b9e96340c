"""What the exporter's server is made of: connections, requests, endpoints, and the web configuration file.

One thread with an event loop of its own holds all connections, so that an idle or slow one costs a little memory and
delays nobody. What takes time is done by worker threads, one each for metrics, pages and password hashes.
"""
