"""The desk: the command line, the composed settings and the native stack."""
