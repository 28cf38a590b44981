"""The few words every layer shares: ids, clock, errors, context, messages, life cycles, strict JSON."""
