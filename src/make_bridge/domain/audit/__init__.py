"""The audit trail as its owner reads it: searched, paged, exported. Writing and chaining are ``platform/audit``."""
