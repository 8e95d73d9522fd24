"""Every target by its name, for `make fuzz FUZZ=name`."""

from __future__ import annotations

import fuzz_captions
import fuzz_configuration
import fuzz_encodings
import fuzz_journals
import fuzz_messages
import fuzz_protocol
import fuzz_records

_MODULES = (
    fuzz_captions,
    fuzz_encodings,
    fuzz_configuration,
    fuzz_journals,
    fuzz_messages,
    fuzz_records,
    fuzz_protocol,
)
TARGETS = {module.TARGET.name: module.TARGET for module in _MODULES}
