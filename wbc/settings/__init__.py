"""What the commands are told: typed settings, the run folder, the command runner."""
