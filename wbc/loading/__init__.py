"""Images in batches: data set, order of an epoch, augmentation, caches."""
