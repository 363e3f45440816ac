"""train.py: phases, checkpoints, the final model, sweeps."""
