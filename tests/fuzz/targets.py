"""Every target by its name, for `make fuzz FUZZ=name`."""

from __future__ import annotations

import fuzz_captions
import fuzz_configuration
import fuzz_encodings
import fuzz_endpoint
import fuzz_journals
import fuzz_messages
import fuzz_protocol
import fuzz_records
import fuzz_tables

TARGETS = {
    target.name: target
    for target in (
        fuzz_captions.TARGET,
        fuzz_encodings.TARGET,
        fuzz_endpoint.TARGET,
        fuzz_tables.MANIFEST,
        fuzz_tables.GLOSSARY,
        fuzz_configuration.TARGET,
        fuzz_journals.TARGET,
        fuzz_messages.TARGET,
        fuzz_records.TARGET,
        fuzz_protocol.TARGET,
    )
}
