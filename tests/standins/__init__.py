"""Stand-ins for the services that a Streetscapes build asks, on loopback."""
