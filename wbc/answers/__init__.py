"""From images to answers: predictor, rule, test-time views, second opinion, checkpoints, predictions.csv."""
