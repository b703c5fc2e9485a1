"""What can be wrong with a backup, or with where it is to be restored."""

from __future__ import annotations

from coachline.foundation.errors import Conflict, InvalidInput


class BackupExists(Conflict):
    """There is a file of that name, and nobody said that it may go."""

    code = "backup_exists"


class DatabaseInUse(Conflict):
    """A gateway works on the database, or rows of somebody stand in it."""

    code = "database_in_use"


class BackupTooNew(InvalidInput):
    """Newer code wrote the backup: this code does not know its schema."""

    code = "backup_too_new"


class MasterKeyMissing(Conflict):
    """What is sealed in the backup does not open with the master keys that are configured."""

    code = "master_key_missing"
