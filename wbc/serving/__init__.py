"""serve.py: a service that answers pictures which programs and people send."""
