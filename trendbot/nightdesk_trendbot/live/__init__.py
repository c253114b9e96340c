"""The live bot: its loop, what it keeps in the journal, its safety, and what it reports to the exporter."""
