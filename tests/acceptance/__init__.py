"""The product as its users meet it: started, and spoken to over HTTP.

A package, unlike other folders of tests, because that gives its fixtures an end of their own: what is served for them
is stopped when the last test of the folder has ended, and does not run beside all the tests that come after.
"""
