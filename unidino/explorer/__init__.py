"""A page in the browser that shows the wells, images, profiles and tables of a lake."""
