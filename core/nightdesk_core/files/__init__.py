"""Files from outside, read safely, and our own, never half-written, with the modes that they have."""
