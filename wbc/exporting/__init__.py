"""export.py: a trained model as a folder that needs neither wbc nor torch, and answers as predict.py does."""
