"""One labelled set and its result: tables, figures, report.html, model card."""
