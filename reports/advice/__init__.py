"""An advice as a page."""
