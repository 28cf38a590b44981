"""The platform: database, queue, bus, security and egress; knows no tenant's business."""
