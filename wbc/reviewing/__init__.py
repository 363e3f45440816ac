"""review.py: a page on which a person looks through predictions and puts them right."""
