"""How well the pipeline does on cases whose truth is known: ``sifdetect evaluate``."""
