"""The demo page: plays the integrator's product around the widget. Served in demo mode only."""
