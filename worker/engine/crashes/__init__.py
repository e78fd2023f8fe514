"""The deaths of engines, and the jobs that are held responsible for them."""
