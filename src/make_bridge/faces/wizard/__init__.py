"""The wizard: its page and the calls the page makes."""
