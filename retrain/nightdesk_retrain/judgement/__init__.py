"""Candidate and champion, judged: what is measured, the gate that decides by it, and the verdict seen again."""
