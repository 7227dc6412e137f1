"""What a checkpoint is good for: evaluation of frozen encoders on data they were not trained on."""
