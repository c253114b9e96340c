"""The kernel that every room stands on: settings, clocks, files, audit log, registry, journal, pipeline protocol."""
