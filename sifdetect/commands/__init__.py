"""The commands of ``sifdetect``, one a module: their options, and what they print."""
