"""What is said of a picture beyond the network, in numpy alone: it also goes with an exported network."""
