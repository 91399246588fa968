"""End to end: real servers on loopback."""
