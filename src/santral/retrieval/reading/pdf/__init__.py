"""PDF: the text layer of pages in the order in which people read it."""
