"""predict.py: answers for any number of images, and the differential."""
