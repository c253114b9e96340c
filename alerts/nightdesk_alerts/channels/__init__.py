"""The places that messages go to, a module each: what is sent there, and what its answers mean."""
