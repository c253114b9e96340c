"""The history to train on: collected, kept, checked against gaps, errors and shifts, and reported."""
