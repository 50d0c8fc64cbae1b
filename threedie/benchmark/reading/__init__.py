"""Reading pictures: a split of a data set, pairs of views, and the bytes-to-pixels path."""
