"""One scenario's result as a page: verdict, charts, comparisons with another, details."""
