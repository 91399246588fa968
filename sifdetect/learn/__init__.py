"""Training, calibration and evaluation of the networks."""
