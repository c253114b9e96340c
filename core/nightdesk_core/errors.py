"""The error tree's root.

NightdeskError
├── SettingsError       (nightdesk_core.settings)   exit code 2
├── LockTimeoutError    (nightdesk_core.files.durable)
├── InputError          (nightdesk_core.files.reader)     from outside: a file, a setting, a message
│   ├── MissingInputError
│   └── StoredError     (nightdesk_core.files.stored)
├── AuditError          (nightdesk_core.audit)
├── BundleError         (nightdesk_core.models.bundle)
├── RegistryError       (nightdesk_core.models.registry)
├── RetrainRequestError (nightdesk_core.models.requests)
├── PipelineError       (nightdesk_core.models.pipeline)
└── JournalError        (nightdesk_core.journal.journal)

Each room adds one base error of its own below `NightdeskError`.
"""

from __future__ import annotations


class NightdeskError(Exception):
    """Something a person can act on: the message says what was wrong, where, and what to do.

    `exit_code` is what the command line ends with: 1 in general, 2 configuration, 3 data, 4 training, 5 publishing.
    """

    exit_code: int = 1
