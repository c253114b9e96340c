"""What is secret: in settings, in what nobody declared, and in log lines, where it is hidden."""
