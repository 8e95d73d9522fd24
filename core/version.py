"""The one place that says which Segue this is."""

VERSION = "0.1.0"
