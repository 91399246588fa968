"""Data of other people: imported, checked, split, exported, and made into samples to train on."""
