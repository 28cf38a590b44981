"""The product as customers see it: its pages in a real browser.

A package, unlike other folders of tests, because that gives its fixtures an end of their own: Playwright's loop counts
as running on its thread for as long as the browser lives, and a coroutine test in that time would find a loop in use.
"""
