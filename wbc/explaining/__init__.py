"""explain.py: heat maps of many images, their measures and the gallery."""
