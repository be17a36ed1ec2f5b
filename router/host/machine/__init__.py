"""The machine the router runs on: devices, addresses, routes and settings, put back at the end."""
