"""The native stack: its tools, servers, services and their supervisor, and the demo's scenarios."""
