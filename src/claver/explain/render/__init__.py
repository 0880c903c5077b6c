"""An explanation as a page, a picture, a video or numbers."""
