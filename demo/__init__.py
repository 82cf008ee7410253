"""The demo: it launches nodes, plays their sensors and looks on. No node imports anything here."""
