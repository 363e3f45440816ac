"""Which images there are: class folders, tables and labs, their checks and splits, in one manifest."""
