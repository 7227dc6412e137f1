"""From records to batches: stored data sets, transforms, sampling; no parameter is seen here."""
