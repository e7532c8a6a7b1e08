"""From what an engine sends back to what is said about a face: the form, probabilities, calibration, abstention."""
