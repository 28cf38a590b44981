"""The audit trail: what a row holds, how rows are chained, and how the chain is verified."""
