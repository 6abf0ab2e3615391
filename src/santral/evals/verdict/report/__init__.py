"""Reports of comparisons: Markdown for a pull request, JUnit, JSON, and a page."""
